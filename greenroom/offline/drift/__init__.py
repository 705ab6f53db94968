"""Whether what an app is asked, and answers, has moved against the weeks before."""
