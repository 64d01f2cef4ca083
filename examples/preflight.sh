#!/bin/sh
# Run this before a pipeline: it verifies the collection before anything expensive starts, and exports its address as
# VECTOR_DB_ID.
#
#   sh preflight.sh red_hat_docs ./run-batch-ingestion.sh redhat   # which finds the address in VECTOR_DB_ID
#   sh preflight.sh                                                # asks only, after all collections
#
# The run-batch-ingestion.sh of private-ai-demo sets VECTOR_DB_ID itself, to the name: docs/addresses.md says what to
# change there.
#
# It needs what register-collections needs: LLAMA_STACK_URL, and HOOK_CONFIG with the declared collections.
set -eu

if [ $# -eq 0 ]; then
    exec register-collections check
fi
collection=$1
shift

# On a line of its own: `export VECTOR_DB_ID=$(…)` would end with 0 whatever became of the command.
VECTOR_DB_ID=$(register-collections resolve "$collection") || {
    status=$?
    echo "$collection is not usable (exit code $status, the cause is above): the pipeline is not launched." >&2
    exit "$status"
}
export VECTOR_DB_ID
exec "$@"
