"""What a prompt is given besides itself: earlier turns, and passages from documents."""
