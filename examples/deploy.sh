#!/bin/sh
# For the end of a deploy script: registers the collections now, by a Job from the CronJob, and ends with the hook's own
# exit code, so that a deploy whose collections are not usable is a failed deploy.
#
#   NAMESPACE=NAMESPACE sh deploy.sh || exit
set -eu

namespace=${NAMESPACE:?set NAMESPACE to that of the CronJob}
cli=$(command -v oc || command -v kubectl) || { echo "There is no oc or kubectl: install one of them." >&2; exit 1; }
cronjob=${CRONJOB:-llamastack-register-collections}
# Above the Job's own activeDeadlineSeconds (900), which ends a Job that cannot start.
wait_seconds=${WAIT_SECONDS:-960}
poll_seconds=${POLL_SECONDS:-2}
job=register-$(date +%s)-$$

ask() {
    "$cli" --namespace "$namespace" --request-timeout 30s "$@"
}

ask create job "$job" --from="cronjob/$cronjob"

# `kubectl wait --for=condition=complete` would not see that the Job has failed, and so wait until its timeout.
end=$(($(date +%s) + wait_seconds))
result=
while [ -z "$result" ]; do
    conditions=$(ask get job "$job" --output jsonpath='{.status.conditions[?(@.status=="True")].type}') || conditions=
    case " $conditions " in
        *" Complete "*) result=complete ;;
        *" Failed "*) result=failed ;;
        *)
            if [ "$(date +%s)" -ge "$end" ]; then
                result=unfinished
            else
                sleep "$poll_seconds"
            fi
            ;;
    esac
done

# Of each try, and only for people: where there is no log, the result is still the Job's.
ask logs --selector "job-name=$job" --container register-collections --prefix --tail=-1 ||
    ask get pods --selector "job-name=$job" --output wide || true

case $result in
    complete)
        echo "Job $job ended with exit code 0; its report, above, says what that proves."
        exit 0
        ;;
    unfinished)
        echo "Job $job has not ended within $wait_seconds s; it goes on." >&2
        exit 1
        ;;
esac

# The last try that ended decides; without one (no node, no image) there is no exit code.
codes=$(ask get pods --selector "job-name=$job" --sort-by=.metadata.creationTimestamp \
    --output jsonpath='{.items[*].status.containerStatuses[?(@.name=="register-collections")].state.terminated.exitCode}') ||
    codes=
code=${codes##* }
message=$(ask get job "$job" --output jsonpath='{.status.conditions[?(@.type=="Failed")].message}') || message=
echo "Job $job failed, exit code ${code:-unknown}: $message" >&2
case $code in
    '' | 0 | *[!0-9]*) exit 1 ;;
    *) exit "$code" ;;
esac
