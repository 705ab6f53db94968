"""The tables of fine-tuning jobs. A change is a new migration at its end."""

JOBS = (
    """
CREATE TABLE generation (number INTEGER NOT NULL);
INSERT INTO generation VALUES (0);

-- read_bytes: how much of events.jsonl is in `events`. finish_ns: when it should be done.
-- failures: how often in a row training ended without getting past best_step.
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL, key TEXT NOT NULL,
    request BLOB NOT NULL, metadata TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL,
    error BLOB NOT NULL DEFAULT x'', plan BLOB NOT NULL DEFAULT x'',
    report BLOB NOT NULL DEFAULT x'', estimate BLOB NOT NULL DEFAULT x'', result BLOB NOT NULL DEFAULT x'',
    card BLOB NOT NULL DEFAULT x'', read_bytes INTEGER NOT NULL DEFAULT 0,
    starts INTEGER NOT NULL DEFAULT 0, failures INTEGER NOT NULL DEFAULT 0,
    best_step INTEGER NOT NULL DEFAULT 0, created_ns INTEGER NOT NULL,
    started_ns INTEGER NOT NULL DEFAULT 0, ended_ns INTEGER NOT NULL DEFAULT 0,
    finish_ns INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_by_project ON jobs (project, number);
CREATE INDEX jobs_at_work ON jobs (number)
    WHERE status IN ('validating_files', 'queued', 'running', 'paused');

CREATE TABLE events (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, job INTEGER NOT NULL, at_ns INTEGER NOT NULL,
    level TEXT NOT NULL, type TEXT NOT NULL, message TEXT NOT NULL, data BLOB NOT NULL
);
CREATE INDEX events_by_job ON events (job, number);

CREATE TABLE checkpoints (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, job INTEGER NOT NULL, step INTEGER NOT NULL,
    at_ns INTEGER NOT NULL, model TEXT NOT NULL, metrics BLOB NOT NULL, UNIQUE (job, step)
);
""",
)
