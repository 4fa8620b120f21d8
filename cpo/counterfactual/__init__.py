"""How a rejected trajectory is made: Sample + concept graph → Counterfactual, with validity checked and counted."""
