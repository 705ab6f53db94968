"""`/v1/batches`: files of requests that are asked in the background, beside live traffic and behind it."""
