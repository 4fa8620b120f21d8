"""Every word of a report that is not about an attribute: habits, devices, examinations, impressions."""

from __future__ import annotations

PHRASES: dict[tuple[str, str], tuple[str, str]] = {
    ("A", "AP"): ("Portable AP view of the chest.", "Single AP view taken at the bedside."),
    ("A", "PA"): ("PA view of the chest.", "Single PA view taken in the department."),
    ("B", "AP"): ("Portable chest radiograph.", "AP chest radiograph with the patient semi upright."),
    ("B", "PA"): ("Upright chest radiograph.", "PA chest radiograph with the patient standing."),
    ("C", "AP"): ("Bedside film of the chest.", "Supine AP film of the chest."),
    ("C", "PA"): ("Erect film of the chest.", "Erect PA film of the chest."),
}
"""Habitual openings by site and view: each tells where and how the film was taken."""

PROCEDURES: dict[tuple[str, str], str] = {
    ("A", "AP"): "CHEST (PORTABLE AP)",
    ("A", "PA"): "CHEST (PA)",
    ("B", "AP"): "PORTABLE CHEST RADIOGRAPH",
    ("B", "PA"): "CHEST PA UPRIGHT",
    ("C", "AP"): "CHEST (SINGLE VIEW) BEDSIDE",
    ("C", "PA"): "CHEST (SINGLE VIEW) ERECT",
}
"""Name of the examination by site and view, in report and metadata."""

DEVICES: dict[str, tuple[str, str]] = {
    "central line": ("A right central line is in place.", "The right central line ends in the superior vena cava."),
    "pacemaker": ("A left pacemaker is in place.", "A pacemaker projects over the left chest."),
    "endotracheal tube": ("An endotracheal tube is in place.", "The endotracheal tube ends above the carina."),
    "nasogastric tube": ("A nasogastric tube is in place.", "The nasogastric tube ends in the stomach."),
    "sternal wires": ("Sternal wires are in place.", "The sternal wires are aligned."),
}

INDICATIONS = (
    "___ year old {person} with cough. Evaluate.",
    "___ year old {person} with shortness of breath.",
    "___ year old {person} with fever. Evaluate.",
    "___ year old {person} with chest pain.",
    "___ year old {person}, interval change.",
)
"""Drawn without a look at the diseases, so that they give nothing away."""

PLACES: dict[str, tuple[str, ...]] = {
    "heart": (
        "enlarged heart",
        "displaced apex",
        "small heart",
        "widened mediastinum",
        "thick paratracheal stripe",
        "distended azygos vein",
        "mediastinal air",
        "tortuous aorta",
        "deviated trachea",
        "splayed carina",
        "enlarged hilum",
        "mediastinal pull",
        "mediastinal push",
    ),
    "lungs": (
        "vascular congestion",
        "upper zone redistribution",
        "perihilar haze",
        "septal lines",
        "bronchial cuffing",
        "dense lobar opacity",
        "air bronchograms",
        "obscured heart border",
        "bulging fissure",
        "patchy airspace opacity",
        "hazy opacity",
        "reticular pattern",
        "honeycombing",
        "linear opacities",
        "volume loss",
        "crowded vessels",
        "compensatory overinflation",
        "displaced fissure",
        "juxtaphrenic peak",
        "elevated hemidiaphragm",
        "low lung volumes",
        "hyperinflation",
        "flat hemidiaphragms",
        "nodule",
        "mass",
        "cavity",
    ),
    "pleura": (
        "blunted costophrenic angle",
        "fluid meniscus",
        "loculated fluid",
        "fissural fluid",
        "apical pleural line",
        "lost lung markings",
        "deep sulcus",
        "pleural thickening",
        "apical cap",
        "pleural calcification",
    ),
    "bones": ("chest wall air", "rib break", "rib callus", "clavicle step"),
}
"""In which part of the findings an attribute is described."""

COMMONLY_NEGATED = (
    "enlarged heart",
    "widened mediastinum",
    "perihilar haze",
    "dense lobar opacity",
    "nodule",
    "fluid meniscus",
    "apical pleural line",
    "rib break",
)
"""What a radiologist denies as a matter of routine; other attributes are denied now and then."""

IMPRESSIONS: dict[str, str] = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Consolidation": "consolidation",
    "Edema": "pulmonary edema",
    "Enlarged Cardiomediastinum": "enlarged cardiomediastinal silhouette",
    "Fracture": "fracture",
    "Lung Lesion": "lung lesion",
    "Lung Opacity": "lung opacity",
    "Pleural Effusion": "pleural effusion",
    "Pleural Other": "chronic pleural change",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
}
"""What the impression calls a disease."""

SURE = ("{disease}.", "Findings of {disease}.", "Findings in keeping with {disease}.")
UNSURE = ("Possible {disease}.", "{disease} cannot be excluded.")
NOTHING = ("No acute cardiopulmonary process.", "No acute findings.", "Normal chest.")
