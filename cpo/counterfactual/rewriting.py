"""From a plan, which attributes go and what the text shall argue for, to the fewest edited sentences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Set
from itertools import pairwise

import numpy as np

from cpo.counterfactual.habits import EDGE, OTHER, Habits, draw
from cpo.counterfactual.planning import Plan
from cpo.counterfactual.statements import ASSERTED, Draft, Spot, Statement, states_of
from cpo.graph.lexicon import Lexicon, Mention
from cpo.records import Intervention, LabelState


class Rewriter:
    """Carries out one plan on one text.

    - A sentence that negates what decides the target is turned into its assertion, in its place.
    - A sentence that asserts what must go is turned into the attribute's negation as often as the pool negates it, or
      else goes.
    - For each that goes an attribute of the target comes, as long as it has any that fits; at least one decides it.
      It is told where reports of the pool tell it, or in the vacated place when they never do.

    Args:
        lexicon: Gives the wordings, the same for factual and counterfactual texts.
        habits: How the pool speaks.
        plan: What may change.
        statements: The factual thinking, at least one.
        rng: Draws attributes, wordings, and sides or severities that cannot be inherited.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        habits: Habits,
        plan: Plan,
        statements: tuple[Statement, ...],
        rng: np.random.Generator,
    ) -> None:
        self._lexicon, self._habits, self._plan, self._rng = lexicon, habits, plan, rng
        self._statements = statements
        self._before = states_of(statements)
        self._after = dict.fromkeys(plan.gone, LabelState.UNMENTIONED)
        self._draft = Draft(statements)
        self._side: str | None = None

    def run(self) -> tuple[str, tuple[Intervention, ...]] | None:
        """The edited text and its interventions.

        None when a sentence to edit also says something else, or when all that decides the target clashes with what
        stays in the text.
        """
        asserted = self._find(self._plan.gone, ASSERTED)
        denied = self._find(self._plan.decisive, {LabelState.ABSENT})
        if any(len(self._statements[place].mentions) > 1 for place in (*asserted, *denied)):
            return None
        self._side = next((mention.side for mention in asserted.values() if mention.side), None)
        self._affirm(denied)
        vacant = self._withdraw(asserted)
        self._argue(vacant)
        if self._plan.decisive and not self._shown:
            return None
        interventions = (
            Intervention(attribute, self._before.get(attribute, LabelState.UNMENTIONED), after)
            for attribute, after in sorted(self._after.items())
        )
        return self._draft.text, tuple(interventions)

    @property
    def _shown(self) -> bool:
        """Whether the draft asserts something that decides the target."""
        return any(self._after.get(attribute) is LabelState.PRESENT for attribute in self._plan.decisive)

    def _find(self, attributes: Set[str], states: Set[LabelState]) -> dict[int, Mention]:
        """Statements that mention one of the attributes in one of the states."""
        return {
            place: mention
            for place, statement in enumerate(self._statements)
            for mention in statement.mentions
            if mention.attribute in attributes and mention.state in states
        }

    def _affirm(self, denied: Mapping[int, Mention]) -> None:
        """Turns one negation into its assertion, and drops the others: each would contradict the target."""
        self._after |= {mention.attribute: LabelState.UNMENTIONED for mention in denied.values()}
        free = self._fitting({mention.attribute for mention in denied.values()})
        chosen = self._choose(free) if free else None
        for place, mention in denied.items():
            if mention.attribute == chosen and not self._shown:
                self._draft.replace(place, *self._assertion(chosen, like=None))
            else:
                self._draft.drop(place)

    def _withdraw(self, asserted: Mapping[int, Mention]) -> dict[int, Mention]:
        """Negates or drops what must go; what was dropped, by place."""
        vacant: dict[int, Mention] = {}
        for place, mention in asserted.items():
            said = self._after[mention.attribute] is LabelState.ABSENT
            if not said and self._rng.random() < self._habits.negation_rate(mention.attribute):
                self._after[mention.attribute] = LabelState.ABSENT
                denial = Mention(mention.attribute, LabelState.ABSENT)
                self._draft.replace(place, self._write(denial), denial)
            else:
                vacant[place] = mention
                self._draft.drop(place)
        return vacant

    def _argue(self, vacant: Mapping[int, Mention]) -> None:
        """Asserts attributes of the target: as many as were dropped, and one that decides it in any case."""
        vacancies: list[tuple[int | None, Mention | None]] = list(vacant.items())
        if not vacancies and not self._shown:
            vacancies = [(None, None)]
        for place, mention in vacancies:
            free = self._fitting(self._plan.allowed if self._shown else self._plan.decisive)
            if free:
                attribute = self._choose(free)
                self._draft.insert(self._spot(attribute, place), *self._assertion(attribute, like=mention))

    def _spot(self, attribute: str, vacated: int | None) -> Spot:
        """Where reports of the pool would tell the attribute; else where something was dropped; else not first."""
        order = self._draft.order
        spots = [*(spot for spot, _ in order), self._draft.end]
        if self._habits.tells(attribute):
            steps = enumerate(pairwise((EDGE, *(topic or OTHER for _, topic in order), EDGE)))
            return spots[draw({i: self._habits.odds(one, attribute, other) for i, (one, other) in steps}, self._rng)]
        if vacated is not None:
            return vacated, 0
        return spots[-1 - int(self._rng.integers(max(1, len(order))))]

    def _fitting(self, attributes: Set[str]) -> list[str]:
        """Allowed ones that the text does not speak of, after the edits so far, and that go with what it asserts."""
        states = {a: state for a, state in (self._before | self._after).items() if state is not LabelState.UNMENTIONED}
        asserted = [a for a, state in states.items() if state in ASSERTED]
        free = (attributes & self._plan.allowed) - states.keys() - self._plan.gone
        return [a for a in free if not any(self._habits.clash(a, other) for other in asserted)]

    def _choose(self, attributes: Collection[str]) -> str:
        """One of the attributes, as readily as reports of the target assert it."""
        return draw({a: self._habits.weight(a, self._plan.target) for a in attributes}, self._rng)

    def _assertion(self, attribute: str, like: Mention | None) -> tuple[str, Mention]:
        """A sentence that asserts an attribute, with what it says, and the record that it does."""
        self._after[attribute] = LabelState.PRESENT
        mention = self._habits.mention(attribute, like, self._side, self._rng)
        if self._lexicon.graph.attributes[attribute].lateral:
            self._side = self._side or mention.side
        return self._write(mention), mention

    def _write(self, mention: Mention) -> str:
        wording = int(self._rng.integers(self._lexicon.choices(mention.attribute, mention.state)))
        return self._lexicon.write(mention.attribute, mention.state, mention.side, mention.severity, wording)
