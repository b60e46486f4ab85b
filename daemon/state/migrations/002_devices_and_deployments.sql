-- Devices, what they run, deployments, who takes part in them, attempts, and what others have to be told.

CREATE TABLE device (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  name          TEXT    NOT NULL UNIQUE CHECK (name <> ''), -- its id, as it says
  type          TEXT    NOT NULL,
  approval      INTEGER NOT NULL,                           -- rollout::Approval
  tags          TEXT    NOT NULL DEFAULT '[]',              -- JSON
  transport     TEXT    NOT NULL DEFAULT '',                -- instance it came by last
  address       TEXT    NOT NULL DEFAULT '',
  first_seen_ms INTEGER NOT NULL,
  last_seen_ms  INTEGER NOT NULL,                           -- written at most once in ten minutes
  versions      TEXT    NOT NULL DEFAULT '{}',              -- JSON, by component; "sha256:<hex>" for an image
  attributes    TEXT    NOT NULL DEFAULT '{}',              -- JSON
  -- SHA-256 of its token: enough to recognise it, of no use to who reads the database.
  token         BLOB    UNIQUE CHECK (length(token) = 32)
) STRICT;

CREATE TABLE deployment (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  spec        TEXT    NOT NULL,            -- rollout::to_json
  state       INTEGER NOT NULL,            -- rollout::RolloutState
  why         TEXT    NOT NULL DEFAULT '', -- of the state
  wave        INTEGER NOT NULL DEFAULT 0,
  forgiven    INTEGER NOT NULL DEFAULT 0,
  release     TEXT    NOT NULL DEFAULT '', -- what "latest" was last, JSON by device type
  origin      TEXT,                        -- store that asked for it
  external_id TEXT,                        -- its id there
  created_ms  INTEGER NOT NULL,
  ended_ms    INTEGER,
  UNIQUE (origin, external_id)
) STRICT;

-- Who has begun once, and everybody of a deployment whose list is frozen; the others follow from its target.
CREATE TABLE member (
  deployment INTEGER NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
  device     INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
  state      INTEGER NOT NULL,             -- rollout::MemberState
  admitted   INTEGER NOT NULL,
  attempts   INTEGER NOT NULL,
  PRIMARY KEY (deployment, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_of ON member (device);

-- The id stands in URLs and is never used twice.
CREATE TABLE attempt (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  deployment   INTEGER NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
  device       INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
  state        INTEGER NOT NULL,           -- rollout::AttemptState
  part         INTEGER NOT NULL DEFAULT 0,
  offset       INTEGER NOT NULL DEFAULT 0,
  code         INTEGER NOT NULL DEFAULT 0,
  message      TEXT    NOT NULL DEFAULT '',
  resume_token BLOB    NOT NULL DEFAULT X'',
  parts        TEXT    NOT NULL,           -- JSON: what each part is, as it was offered
  started_ms   INTEGER NOT NULL,
  ended_ms     INTEGER
) STRICT;
CREATE UNIQUE INDEX attempt_open ON attempt (device) WHERE ended_ms IS NULL;
CREATE INDEX attempt_of_device ON attempt (device, id);
CREATE INDEX attempt_of_deployment ON attempt (deployment, id);

-- What a store or a webhook has to be told, in order for each destination and subject, at least once.
CREATE TABLE outbox (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  destination TEXT    NOT NULL,            -- "store:<name>" or "webhook:<name>"
  subject     TEXT    NOT NULL,
  body        TEXT    NOT NULL,
  added_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_in_order ON outbox (destination, subject, id);
