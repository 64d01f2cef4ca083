# The loop that the hook replaces, with the user's own requests; only `-w`, which shows the status, is added.
for VECTOR_DB in red_hat_docs acme_corporate eu_ai_act; do
  curl -s -w ' <- HTTP %{http_code}\n' -X POST "$LLAMA_STACK_URL/v1/vector_stores" \
    -H "Content-Type: application/json" \
    -d "{
      \"name\": \"$VECTOR_DB\",
      \"chunking_strategy\": {\"type\": \"fixed_size_chunking\"},
      \"embedding_config\": {
        \"embedding_model\": \"ibm-granite/granite-embedding-125m-english\",
        \"vector_db_id\": \"$VECTOR_DB\",
        \"provider_id\": \"milvus-shared\"
      }
    }"
done
