"""The tables of traces, conversations, responses and the ledger. A change is a new migration at its end."""

from greenroom.store import safety

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
    "CREATE INDEX scores_by_name ON scores (name, seq);",
    "ALTER TABLE scores ADD COLUMN correction TEXT;",
    safety.MIGRATION,
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
    """
-- Cost centers: accounts without their users, and so far fewer. Their days are folded with those of accounts.
CREATE TABLE centers (
    number INTEGER PRIMARY KEY, project TEXT NOT NULL, key TEXT NOT NULL, app TEXT NOT NULL,
    model TEXT NOT NULL, tags TEXT NOT NULL, UNIQUE (project, key, app, model, tags)
);
INSERT INTO centers (project, key, app, model, tags)
SELECT DISTINCT project, key, app, model, tags FROM accounts;
ALTER TABLE accounts ADD COLUMN center INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET center = (
    SELECT c.number FROM centers c WHERE c.project = accounts.project AND c.key = accounts.key
    AND c.app = accounts.app AND c.model = accounts.model AND c.tags = accounts.tags
);
CREATE TABLE center_days (
    day INTEGER NOT NULL, center INTEGER NOT NULL, requests INTEGER NOT NULL, calls INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, estimated INTEGER NOT NULL, cost_nano INTEGER NOT NULL, input INTEGER NOT NULL,
    cached INTEGER NOT NULL, written INTEGER NOT NULL, written_1h INTEGER NOT NULL, output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL, input_audio INTEGER NOT NULL, output_audio INTEGER NOT NULL,
    PRIMARY KEY (day, center)
) WITHOUT ROWID;
INSERT INTO center_days
SELECT day, center, sum(requests), sum(calls), sum(unpriced), sum(estimated), sum(cost_nano), sum(input),
    sum(cached), sum(written), sum(written_1h), sum(output), sum(reasoning), sum(input_audio),
    sum(output_audio)
FROM days JOIN accounts ON number = account GROUP BY day, center;
""",
)
"""Migrations of `ledger.db`, oldest first."""

RESPONSES = (
    """
-- key: who made it. user: a pseudonym where the name is personal data. session: whose masks its texts hold.
-- body: the answer object without its output. cuts: in which pieces its texts came. size: bytes of both.
-- process: the number of the one that makes it. is_unwanted: somebody asked for its end.
CREATE TABLE responses (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, key TEXT NOT NULL, user TEXT, session TEXT NOT NULL,
    conversation TEXT, previous TEXT, status TEXT NOT NULL, created_at INTEGER NOT NULL,
    queued INTEGER NOT NULL, body BLOB NOT NULL, cuts BLOB NOT NULL, size INTEGER NOT NULL,
    process INTEGER NOT NULL, is_unwanted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX responses_by_age ON responses (created_at);
CREATE INDEX responses_by_user ON responses (project, user) WHERE user IS NOT NULL;
CREATE INDEX responses_at_work ON responses (status) WHERE status IN ('queued', 'in_progress');

CREATE TABLE conversations (
    id TEXT PRIMARY KEY, project TEXT NOT NULL, key TEXT NOT NULL, created_at INTEGER NOT NULL,
    touched_at INTEGER NOT NULL, metadata BLOB NOT NULL, size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX conversations_by_age ON conversations (touched_at);

-- owner: a response or a conversation. place: rises in it. is_output: the model said it.
CREATE TABLE items (
    owner TEXT NOT NULL, place INTEGER NOT NULL, id TEXT NOT NULL, project TEXT NOT NULL, user TEXT,
    is_output INTEGER NOT NULL, body BLOB NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (owner, place)
) WITHOUT ROWID;
CREATE INDEX items_by_id ON items (project, id);
CREATE INDEX items_by_user ON items (project, user) WHERE user IS NOT NULL;

-- When users were forgotten: what they asked before is not kept after.
CREATE TABLE forgotten (
    project TEXT NOT NULL, user TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (project, user)
) WITHOUT ROWID;
CREATE TABLE sizes (project TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TRIGGER response_in AFTER INSERT ON responses BEGIN
    INSERT INTO sizes VALUES (NEW.project, NEW.size)
    ON CONFLICT (project) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER response_changed AFTER UPDATE OF size ON responses BEGIN
    UPDATE sizes SET bytes = bytes + NEW.size - OLD.size WHERE project = NEW.project;
END;
CREATE TRIGGER response_out AFTER DELETE ON responses BEGIN
    UPDATE sizes SET bytes = bytes - OLD.size WHERE project = OLD.project;
    DELETE FROM items WHERE owner = OLD.id;
END;
CREATE TRIGGER item_in AFTER INSERT ON items BEGIN
    INSERT INTO sizes VALUES (NEW.project, NEW.size)
    ON CONFLICT (project) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER item_out AFTER DELETE ON items BEGIN
    UPDATE sizes SET bytes = bytes - OLD.size WHERE project = OLD.project;
END;
CREATE TRIGGER conversation_in AFTER INSERT ON conversations BEGIN
    INSERT INTO sizes VALUES (NEW.project, NEW.size)
    ON CONFLICT (project) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER conversation_changed AFTER UPDATE OF size ON conversations BEGIN
    UPDATE sizes SET bytes = bytes + NEW.size - OLD.size WHERE project = NEW.project;
END;
CREATE TRIGGER conversation_out AFTER DELETE ON conversations BEGIN
    UPDATE sizes SET bytes = bytes - OLD.size WHERE project = OLD.project;
    DELETE FROM items WHERE owner = OLD.id;
END;
""",
)
"""Migrations of `responses.db`, oldest first."""
