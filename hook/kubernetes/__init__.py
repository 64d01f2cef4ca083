"""What a pod may do in its own cluster: wait for a rollout, and publish addresses as a ConfigMap.

It uses the pod's own ServiceAccount, and never an object of another namespace.
"""

from hook.kubernetes.configmap import Publisher, can_be_key
from hook.kubernetes.deployment import wait_for_rollout

__all__ = ["Publisher", "can_be_key", "wait_for_rollout"]
