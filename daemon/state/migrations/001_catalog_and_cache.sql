-- Stores, what they list, the catalog made of it, the blobs in the cache, and the event log.
-- Times are milliseconds since 1970 by the system clock, right or wrong; order comes from ids and sequences.
-- Digests are the 32 bytes of SHA-256.

CREATE TABLE store (
  id            INTEGER PRIMARY KEY,
  name          TEXT    NOT NULL UNIQUE,
  plugin        TEXT    NOT NULL,
  priority      INTEGER NOT NULL,            -- higher wins
  configured    INTEGER NOT NULL,            -- 0: no longer in the config
  list_cursor   TEXT    NOT NULL DEFAULT '', -- where an interrupted listing goes on
  sync_sequence INTEGER NOT NULL DEFAULT 0,
  last_sync_ms  INTEGER NOT NULL DEFAULT 0,
  last_ok_ms    INTEGER NOT NULL DEFAULT 0,
  last_error    TEXT,
  requests      INTEGER NOT NULL DEFAULT 0,
  body_bytes    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- One row per object of the last listing. A sync of an unchanged store touches none of them.
CREATE TABLE object (
  id           INTEGER PRIMARY KEY,
  store        INTEGER NOT NULL REFERENCES store (id),
  key          TEXT    NOT NULL CHECK (key <> ''),
  change_token TEXT    NOT NULL,
  size         INTEGER,
  flags        INTEGER NOT NULL,
  digest       BLOB    CHECK (length(digest) = 32), -- as claimed upstream
  modified_ms  INTEGER,
  metadata     TEXT    NOT NULL,
  skipped      TEXT,                                -- why it is not firmware
  UNIQUE (store, key)
) STRICT;
CREATE INDEX object_skipped ON object (store, key) WHERE skipped IS NOT NULL;

CREATE TABLE firmware (
  id              INTEGER PRIMARY KEY,
  object          INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
  store           INTEGER NOT NULL REFERENCES store (id),
  name            TEXT    NOT NULL,
  version         TEXT    NOT NULL,
  type            TEXT    NOT NULL,
  kind            TEXT    NOT NULL,                         -- firmware, software, patch
  dependency      TEXT,                                     -- of a patch
  format          TEXT    NOT NULL,
  size            INTEGER,
  expected_digest BLOB    CHECK (length(expected_digest) = 32),
  blob            BLOB    CHECK (length(blob) = 32),        -- of the verified bytes; stays when they are evicted
  verified        INTEGER NOT NULL,                         -- 0 none 1 length 2 format 3 digest 4 signature
  sequence        INTEGER NOT NULL,                         -- the store's own order
  UNIQUE (object, name, version, type)
) STRICT;
-- Catalog order; the store is in it so that filters read nothing but the index.
CREATE INDEX firmware_in_order ON firmware (name, version, type, store);
CREATE INDEX firmware_by_digest ON firmware (COALESCE(blob, expected_digest));

-- One version of one object. Outlives the object: what was said about it is said for good.
CREATE TABLE object_version (
  id           INTEGER PRIMARY KEY,
  store        INTEGER NOT NULL REFERENCES store (id),
  key          TEXT    NOT NULL,
  change_token TEXT    NOT NULL,
  generation   INTEGER NOT NULL DEFAULT 1,           -- grows when a fill is rejected: its tag is retired
  tag          TEXT,                                 -- entity tag of this generation
  digest       BLOB    CHECK (length(digest) = 32),  -- first recorded, binding
  UNIQUE (store, key, change_token)
) STRICT;

CREATE TABLE rejection (
  version  INTEGER NOT NULL REFERENCES object_version (id) ON DELETE CASCADE,
  expected BLOB    NOT NULL,                         -- digest; empty: none was known
  reason   TEXT    NOT NULL,
  wall_ms  INTEGER NOT NULL,
  PRIMARY KEY (version, expected)
) STRICT, WITHOUT ROWID;

-- Written when a fill starts and ends only. The id names its files and is never used twice.
CREATE TABLE fill (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  version         INTEGER NOT NULL UNIQUE REFERENCES object_version (id),
  generation      INTEGER NOT NULL,
  expected_digest BLOB    CHECK (length(expected_digest) = 32),
  size            INTEGER,
  started_ms      INTEGER NOT NULL
) STRICT;

CREATE TABLE blob (
  digest        BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
  size          INTEGER NOT NULL,
  added_ms      INTEGER NOT NULL,
  used_sequence INTEGER NOT NULL,
  used_ms       INTEGER NOT NULL,
  state         INTEGER NOT NULL,                    -- 0 ok 1 quarantined
  reason        TEXT,
  -- The file when it was last verified.
  device        INTEGER NOT NULL,
  inode         INTEGER NOT NULL,
  mtime_ns      INTEGER NOT NULL,
  ctime_ns      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_by_use ON blob (used_sequence);

CREATE TABLE verification (
  blob     BLOB    NOT NULL REFERENCES blob (digest) ON DELETE CASCADE,
  policy   TEXT    NOT NULL,
  verified INTEGER NOT NULL,
  wall_ms  INTEGER NOT NULL,
  PRIMARY KEY (blob, policy)
) STRICT, WITHOUT ROWID;

-- Not tied to a blob row: a pin may come before the bytes.
CREATE TABLE pin (
  digest   BLOB    NOT NULL CHECK (length(digest) = 32),
  owner    TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  added_ms INTEGER NOT NULL,
  PRIMARY KEY (digest, owner)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
  sequence           INTEGER PRIMARY KEY AUTOINCREMENT,
  wall_ms            INTEGER NOT NULL,
  clock_synchronised INTEGER NOT NULL,
  kind               TEXT    NOT NULL,
  severity           INTEGER NOT NULL,               -- 0 info 1 notice 2 warning 3 error
  instance           TEXT,
  firmware           TEXT,
  blob               BLOB,
  device             TEXT,
  message            TEXT    NOT NULL,
  data               TEXT    NOT NULL
) STRICT;

CREATE TABLE setting (
  key   TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
