"""The newest published weights, between the learner and whoever acts.

In: a policy after each training iteration. Out: the same weights, for policies that are behind. Within one process the
learner and the sampler share one `Policy` object; then publishing only moves the version on.
"""

from __future__ import annotations

from sf_core.model.policy import Policy


class PolicyStore:
    """Holds the policy published last, for one process.

    Attributes:
        policy_version: of the newest weights; -1 before the first `publish`.
    """

    def __init__(self) -> None:
        self.policy_version = -1
        self._newest: Policy | None = None

    def publish(self, policy: Policy, policy_version: int) -> None:
        """Make the present weights of `policy` the newest ones."""
        policy.policy_version = policy_version
        self.policy_version = policy_version
        self._newest = policy

    def fetch_if_newer(self, policy: Policy) -> bool:
        """Bring `policy` up to date; True if its weights changed."""
        if self._newest is None or policy is self._newest or policy.policy_version >= self.policy_version:
            return False
        policy.load_weights(self._newest.weights())
        policy.policy_version = self.policy_version
        return True
