"""FILL SLOTS: environments are stepped, the policy answers, rollouts are written."""
