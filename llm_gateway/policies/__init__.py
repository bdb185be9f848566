"""Pure decisions: what a failure means, when to try again, how long to wait, what to charge.
``now`` and ``draw`` are arguments."""
