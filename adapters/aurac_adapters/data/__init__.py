"""Training data: files, published sets, chats; token ids and batches."""
