"""The tables of traces, conversations and the ledger. A change is a new migration at the end."""

TRACES = (
    """
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

CREATE TABLE blocks (number INTEGER PRIMARY KEY, body BLOB NOT NULL);

-- seq: rises with every exchange stored, in the order in which they ended; the order of lists.
-- project, key, app, asked, used: numbers from names. block, place: where the body lies, if there is one.
CREATE TABLE traces (
    seq INTEGER PRIMARY KEY, id NOT NULL, created_ns INTEGER NOT NULL,
    project INTEGER NOT NULL, key INTEGER NOT NULL, app INTEGER NOT NULL,
    asked INTEGER NOT NULL, used INTEGER, outcome INTEGER NOT NULL, status INTEGER NOT NULL,
    session TEXT, user TEXT, language TEXT,
    input_tokens INTEGER, output_tokens INTEGER, cost_nano INTEGER,
    total_us INTEGER NOT NULL, overhead_us INTEGER NOT NULL, first_token_us INTEGER NOT NULL,
    flags INTEGER NOT NULL, block INTEGER, place INTEGER
);
CREATE INDEX traces_by_id ON traces (id);
-- Covers what lists are narrowed by, in the order of lists: a rare app costs a scan of this alone.
CREATE INDEX traces_by_project ON traces (project, seq, app, asked, used, outcome, created_ns);
CREATE INDEX traces_by_user ON traces (project, user) WHERE user IS NOT NULL;
CREATE INDEX traces_by_session ON traces (project, session) WHERE session IS NOT NULL;

CREATE TABLE tags (
    project INTEGER NOT NULL, tag TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (project, tag, seq)
) WITHOUT ROWID;
CREATE INDEX tags_by_seq ON tags (seq);

CREATE TABLE scores (
    seq INTEGER NOT NULL, at_ns INTEGER NOT NULL, name TEXT NOT NULL, value REAL, comment TEXT, source TEXT
);
CREATE INDEX scores_by_seq ON scores (seq);

CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters
VALUES ('stored', 0), ('erased', 0), ('lost_rows', 0), ('lost_bodies', 0), ('indexed', 0);

CREATE TABLE losses (
    at_ns INTEGER NOT NULL, kind TEXT NOT NULL, rows INTEGER NOT NULL, bodies INTEGER NOT NULL
);
CREATE TABLE running (pid INTEGER NOT NULL, since_ns INTEGER NOT NULL);

CREATE VIRTUAL TABLE words USING fts5 (
    text, content = '', detail = none, columnsize = 0, tokenize = "unicode61 remove_diacritics 2"
);
""",
    """
-- What checks found, and what was done: a chain, each line holding the hash of the one before.
-- value: keyed hash of what was found. previous, hash: see audit.py.
CREATE TABLE findings (
    number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, project TEXT NOT NULL, app TEXT NOT NULL,
    key TEXT NOT NULL, exchange TEXT NOT NULL, step TEXT NOT NULL, rule TEXT NOT NULL, category TEXT NOT NULL,
    severity INTEGER NOT NULL, place TEXT NOT NULL, action TEXT NOT NULL, policy TEXT NOT NULL,
    shadow TEXT NOT NULL, would TEXT NOT NULL, message INTEGER NOT NULL, start INTEGER NOT NULL,
    stop INTEGER NOT NULL, value TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
);
CREATE INDEX findings_by_project ON findings (project, number);
CREATE INDEX findings_by_exchange ON findings (exchange);
-- Where the log was cut because its time was over: the last line that went, and how many in all.
CREATE TABLE cuts (
    number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, hash TEXT NOT NULL, lines INTEGER NOT NULL
);
INSERT INTO counters VALUES ('found', 0);
CREATE TRIGGER findings_stay BEFORE UPDATE ON findings BEGIN SELECT raise(ABORT, 'append only'); END;
CREATE TRIGGER findings_are_kept BEFORE DELETE ON findings
WHEN OLD.number > coalesce((SELECT max(number) FROM cuts), 0)
BEGIN SELECT raise(ABORT, 'append only'); END;
CREATE TRIGGER cuts_stay BEFORE UPDATE ON cuts BEGIN SELECT raise(ABORT, 'append only'); END;
CREATE TRIGGER cuts_are_kept BEFORE DELETE ON cuts BEGIN SELECT raise(ABORT, 'append only'); END;
""",
)
"""Migrations of `traces.db`, oldest first."""

TURNS = (
    """
CREATE TABLE turns (
    project TEXT NOT NULL, session TEXT NOT NULL, turn INTEGER NOT NULL, user TEXT, role TEXT NOT NULL,
    text TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (project, session, turn)
) WITHOUT ROWID;
CREATE INDEX turns_by_user ON turns (project, user) WHERE user IS NOT NULL;
""",
    """
CREATE TABLE spoken (
    project TEXT NOT NULL, session TEXT NOT NULL, user TEXT NOT NULL, turn INTEGER NOT NULL,
    role TEXT NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (project, session, user, turn)
) WITHOUT ROWID;
INSERT INTO spoken SELECT project, session, coalesce(user, ''), turn, role, text, at FROM turns;
DROP TABLE turns;
ALTER TABLE spoken RENAME TO turns;
CREATE INDEX turns_by_user ON turns (project, user) WHERE user <> '';

CREATE TABLE owners (
    number INTEGER PRIMARY KEY, project TEXT NOT NULL, user TEXT NOT NULL, UNIQUE (project, user)
);
-- A place is number * 2^20 + turn: the turns of a session stand side by side.
CREATE TABLE places (
    number INTEGER PRIMARY KEY, owner INTEGER NOT NULL, session TEXT NOT NULL, UNIQUE (owner, session)
);
CREATE TABLE heard (
    owner INTEGER NOT NULL, place INTEGER NOT NULL, at REAL NOT NULL, kind INTEGER NOT NULL,
    size INTEGER NOT NULL, PRIMARY KEY (owner, place)
) WITHOUT ROWID;
CREATE TABLE words (
    owner INTEGER NOT NULL, term TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (owner, term, place)
) WITHOUT ROWID;
-- superseded_by: null while it holds; 0 when what superseded it was forgotten.
CREATE TABLE facts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL, slot TEXT NOT NULL, value TEXT NOT NULL,
    text TEXT NOT NULL, keys TEXT NOT NULL, at REAL NOT NULL, superseded_by INTEGER
);
CREATE INDEX facts_by_slot ON facts (owner, slot, at);
CREATE TABLE evidence (
    fact INTEGER NOT NULL, place INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (fact, place)
) WITHOUT ROWID;
CREATE INDEX evidence_by_place ON evidence (place);
""",
)
"""Migrations of `turns.db`, oldest first."""

LEDGER = (
    """
-- Who is charged: combinations as they come. tags: a JSON list of "name=value".
CREATE TABLE accounts (
    number INTEGER PRIMARY KEY, project TEXT NOT NULL, key TEXT NOT NULL, app TEXT NOT NULL,
    model TEXT NOT NULL, user TEXT NOT NULL, tags TEXT NOT NULL, UNIQUE (project, key, app, model, user, tags)
);
-- kind: 0 answer, 1 extra, 2 abandoned, 3 carried. flags: 1 estimated, 2 unpriced.
-- at_ns: when the request came.
CREATE TABLE lines (
    number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, exchange BLOB NOT NULL, account INTEGER NOT NULL,
    kind INTEGER NOT NULL, cost_nano INTEGER NOT NULL CHECK (cost_nano >= 0), flags INTEGER NOT NULL,
    input INTEGER NOT NULL, cached INTEGER NOT NULL, written INTEGER NOT NULL, written_1h INTEGER NOT NULL,
    output INTEGER NOT NULL, reasoning INTEGER NOT NULL, input_audio INTEGER NOT NULL,
    output_audio INTEGER NOT NULL, tier TEXT NOT NULL
);
CREATE TRIGGER lines_stay BEFORE UPDATE ON lines BEGIN SELECT raise(ABORT, 'append only'); END;
CREATE TRIGGER lines_are_kept BEFORE DELETE ON lines BEGIN SELECT raise(ABORT, 'append only'); END;
-- The lines by day and account, up to number `folded` of marks.
CREATE TABLE days (
    day INTEGER NOT NULL, account INTEGER NOT NULL, requests INTEGER NOT NULL, calls INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, estimated INTEGER NOT NULL, cost_nano INTEGER NOT NULL, input INTEGER NOT NULL,
    cached INTEGER NOT NULL, written INTEGER NOT NULL, written_1h INTEGER NOT NULL, output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL, input_audio INTEGER NOT NULL, output_audio INTEGER NOT NULL,
    PRIMARY KEY (day, account)
) WITHOUT ROWID;
CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO marks VALUES ('folded', 0), ('carried', 0);

CREATE TABLE processes (
    number INTEGER PRIMARY KEY AUTOINCREMENT, pid INTEGER NOT NULL, since_ns INTEGER NOT NULL
);
-- Reserved for requests at work. windows: a JSON list of [scope, since].
CREATE TABLE held (
    exchange TEXT PRIMARY KEY, process INTEGER NOT NULL, at_ns INTEGER NOT NULL, account INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0), windows TEXT NOT NULL
) WITHOUT ROWID;
-- What a budget's window has settled. scope: period, project, key, user and tag as a JSON list.
CREATE TABLE balances (
    scope TEXT NOT NULL, since INTEGER NOT NULL, settled INTEGER NOT NULL, PRIMARY KEY (scope, since)
) WITHOUT ROWID;
-- What a process may still spend of it: reserved, or settled and not written yet, or free.
CREATE TABLE leases (
    scope TEXT NOT NULL, since INTEGER NOT NULL, process INTEGER NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (scope, since, process)
) WITHOUT ROWID;
""",
)
"""Migrations of `ledger.db`, oldest first."""
