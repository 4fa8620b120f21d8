"""The concept graph: which attributes speak for a disease, which do not, which rule it out, and the words for them."""
