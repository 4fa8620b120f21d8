"""From records to a batch: chat template, tokens and pixels, positions, layouts, collator.

Training, scoring and generation all come through here, so that they cannot disagree.
"""
