"""What a judged model is worth: scores of its answers, with intervals that respect who the patients are."""
