"""The tables of evaluation. A change is a new migration at its end."""

EVALS = (
    """
-- key: subject's fingerprint and sample's digest. run: which run made the call, and paid for it.
-- outcome: null from just before the call until its answer is written.
CREATE TABLE calls (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL, run TEXT NOT NULL, asked_ns INTEGER NOT NULL,
    answered_ns INTEGER, outcome TEXT, cost_nano INTEGER, output BLOB
);
CREATE INDEX calls_by_key ON calls (key, number) WHERE outcome IN ('answered', 'refused');
CREATE INDEX calls_by_run ON calls (run);

CREATE TABLE runs (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, subject TEXT NOT NULL,
    fingerprint TEXT NOT NULL, data TEXT NOT NULL, total INTEGER NOT NULL, settings BLOB NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, started_ns INTEGER NOT NULL, ended_ns INTEGER,
    process INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX runs_by_age ON runs (started_ns);

CREATE TABLE items (
    run TEXT NOT NULL, place INTEGER NOT NULL, repeat INTEGER NOT NULL, sample TEXT NOT NULL,
    call INTEGER NOT NULL, scores BLOB NOT NULL, judged_nano INTEGER NOT NULL,
    PRIMARY KEY (run, place, repeat)
) WITHOUT ROWID;
CREATE INDEX items_by_call ON items (call);

-- Data sets: what lies in one never changes; a change is the next version.
CREATE TABLE data_sets (
    number INTEGER PRIMARY KEY, project TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    digest TEXT NOT NULL, rows INTEGER NOT NULL, source TEXT NOT NULL, created_ns INTEGER NOT NULL,
    UNIQUE (project, name, version)
);
CREATE TABLE data_rows (
    data_set INTEGER NOT NULL, place INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (data_set, place)
) WITHOUT ROWID;
CREATE TRIGGER data_sets_stay BEFORE UPDATE ON data_sets BEGIN SELECT raise(ABORT, 'never changes'); END;
CREATE TRIGGER data_rows_stay BEFORE UPDATE ON data_rows BEGIN SELECT raise(ABORT, 'never changes'); END;
CREATE TRIGGER data_set_out AFTER DELETE ON data_sets BEGIN
    DELETE FROM data_rows WHERE data_set = OLD.number;
END;
""",
    """
-- What clients keep by /v1/evals: evals, their runs, and the rows of these. A run has one id here and there.
CREATE TABLE openai_evals (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, project TEXT NOT NULL, key TEXT NOT NULL,
    name TEXT NOT NULL, metadata BLOB NOT NULL, config BLOB NOT NULL, criteria BLOB NOT NULL,
    created_ns INTEGER NOT NULL, updated_ns INTEGER NOT NULL
);
CREATE INDEX openai_evals_by_project ON openai_evals (project, number);

CREATE TABLE openai_runs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    eval INTEGER NOT NULL REFERENCES openai_evals (number) ON DELETE CASCADE,
    project TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, metadata BLOB NOT NULL,
    model TEXT NOT NULL, source BLOB NOT NULL, status TEXT NOT NULL, error_code TEXT NOT NULL,
    error TEXT NOT NULL, summary BLOB NOT NULL, created_ns INTEGER NOT NULL
);
CREATE INDEX openai_runs_by_eval ON openai_runs (eval, number);
CREATE INDEX openai_runs_at_work ON openai_runs (project) WHERE status IN ('queued', 'in_progress');

CREATE TABLE openai_rows (
    run TEXT NOT NULL, place INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (run, place)
) WITHOUT ROWID;
CREATE TRIGGER openai_run_out AFTER DELETE ON openai_runs BEGIN
    DELETE FROM openai_rows WHERE run = OLD.id;
END;
""",
)
"""Migrations of `evals.db`, oldest first."""
