"""Every word of a scene's text that is not about an attribute: where and when it is, reasons, object classes."""

from __future__ import annotations

TOLD: dict[str, dict[object, tuple[str, str]]] = {
    "place": {
        "city": ("The road leads through a city.", "Houses stand on both sides."),
        "country": ("The road leads through the country.", "Trees stand on both sides."),
    },
    "night": {
        True: ("It is night.", "The scene was recorded after dark."),
        False: ("It is day.", "The scene was recorded in daylight."),
    },
    "bus_lane": {
        True: ("The right lane is marked as a bus lane.", "A red bus lane runs on the right."),
        False: ("The right lane is an ordinary one.", "All lanes are open to all traffic."),
    },
}
"""How nuisances are told, in two habits of speech; the concept graph knows none of these sentences."""

COMMONLY_NEGATED = (
    "red light",
    "crossing pedestrian",
    "braking car",
    "cones on the right",
    "oncoming car",
    "fog",
    "speed hump",
    "stop sign",
)
"""What a description denies as a matter of routine; other attributes are denied now and then."""

DECIDES = "This is a reason to {actions}."
SUPPORTS = "This may be a reason to {actions}."
FORBIDS = "This is a reason not to {actions}."
MEANS_NOTHING = "This does not bear on the ego car."

VEHICLES, PEOPLE, SIGNS, LIGHTS, CONES, BARRIERS, OTHER = (
    "vehicles",
    "vulnerable_road_users",
    "traffic signs",
    "traffic lights",
    "traffic cones",
    "barriers",
    "other objects",
)
KINDS = (VEHICLES, PEOPLE, SIGNS, LIGHTS, CONES, BARRIERS, OTHER)
"""The seven categories of CODA-LM's general perception, spelt as there."""

OBJECTS: dict[str, tuple[str, str | None]] = {
    "crossing pedestrian": (PEOPLE, "pedestrian"),
    "crossing cyclist": (PEOPLE, "cyclist"),
    "children at the roadside": (PEOPLE, "pedestrian"),
    "animal at the roadside": (OTHER, "animal"),
    "police officer": (PEOPLE, "pedestrian"),
    "emergency vehicle": (VEHICLES, "truck"),
    "merging car": (VEHICLES, "car"),
    "braking car": (VEHICLES, "car"),
    "slow truck": (VEHICLES, "truck"),
    "cyclist ahead": (PEOPLE, "cyclist"),
    "stalled car on the right": (VEHICLES, "car"),
    "car over the line": (VEHICLES, "car"),
    "oncoming car": (VEHICLES, "car"),
    "parked cars": (VEHICLES, "car"),
    "bus at the stop": (VEHICLES, "bus"),
    "closed barrier": (BARRIERS, "barrier"),
    "cones on the right": (CONES, "traffic_cone"),
    "cones on the left": (CONES, "traffic_cone"),
    "debris on the right": (OTHER, "debris"),
    "debris on the left": (OTHER, "debris"),
    "speed hump": (OTHER, None),
    "potholes": (OTHER, None),
    "standing water": (OTHER, None),
    "snow on the road": (OTHER, None),
    "zebra crossing": (OTHER, None),
    "left arrow marking": (OTHER, None),
    "right arrow marking": (OTHER, None),
    "merging lane marking": (OTHER, None),
    "fog": (OTHER, None),
    "rain": (OTHER, None),
    "falling snow": (OTHER, None),
    "glare": (OTHER, None),
    "storm clouds": (OTHER, None),
    "red light": (LIGHTS, "traffic_light"),
    "yellow light": (LIGHTS, "traffic_light"),
    "green light": (LIGHTS, "traffic_light"),
    "stop sign": (SIGNS, "traffic_sign"),
    "yield sign": (SIGNS, "traffic_sign"),
    "school sign": (SIGNS, "warning_sign"),
    "roadworks sign": (SIGNS, "warning_sign"),
    "speed limit sign": (SIGNS, "traffic_sign"),
    "end of limit sign": (SIGNS, "traffic_sign"),
    "left turn sign": (SIGNS, "traffic_sign"),
    "right turn sign": (SIGNS, "traffic_sign"),
    "no left turn sign": (SIGNS, "traffic_sign"),
    "no right turn sign": (SIGNS, "traffic_sign"),
    "crossroads sign": (SIGNS, "warning_sign"),
    "arrow board to the left": (SIGNS, "traffic_sign"),
    "arrow board to the right": (SIGNS, "traffic_sign"),
}
"""Under which category CODA-LM would describe an attribute, and the class of its region; None has no region."""
