-- A database as schema version 3 wrote it. Never edited: it stands for the ones in the field.
PRAGMA application_id = 0x4f544167;
PRAGMA user_version = 3;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
INSERT INTO store VALUES(1,'vendor','s3',5,1,'',7,1700000000000,1700000000000,NULL,42,123456);
INSERT INTO store VALUES(2,'bench','directory',0,1,'page 3',1,1700000000000,0,'permission denied',2,0);
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
INSERT INTO object VALUES(1,1,'fw/sensor-1.2.3.bin','"abc"',12,3,X'5ae59463830c7803a496d689f24aa3eab1e64652b88d933a5bf493bcf0723145',1690000000000,'name=sensor',NULL);
INSERT INTO object VALUES(2,1,'fw/readme.txt','"def"',NULL,0,NULL,NULL,'','no version in its name');
INSERT INTO object VALUES(3,2,'a b/c+d%/ü.bin','17-9',9,1,NULL,1690000000001,'',NULL);
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
INSERT INTO firmware VALUES(1,1,1,'sensor','1.2.3','nrf52','firmware',NULL,'mcuboot',12,X'5ae59463830c7803a496d689f24aa3eab1e64652b88d933a5bf493bcf0723145',X'5ae59463830c7803a496d689f24aa3eab1e64652b88d933a5bf493bcf0723145',3,10);
INSERT INTO firmware VALUES(2,3,2,'sensor','1.2.4','nrf52','patch','1.2.3','',9,X'a4895eb44afc336fecbba6e520cd67e178dace0276655d102fceffa8e5f70570',NULL,0,1);
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
INSERT INTO object_version VALUES(1,1,'fw/sensor-1.2.3.bin','"abc"',1,'5ae59463830c7803a496d689f24aa3eab1e64652b88d933a5bf493bcf0723145',X'5ae59463830c7803a496d689f24aa3eab1e64652b88d933a5bf493bcf0723145');
INSERT INTO object_version VALUES(2,2,'a b/c+d%/ü.bin','17-9',2,NULL,NULL);
CREATE TABLE rejection (
  version  INTEGER NOT NULL REFERENCES object_version (id) ON DELETE CASCADE,
  expected BLOB    NOT NULL,                         -- digest; empty: none was known
  reason   TEXT    NOT NULL,
  wall_ms  INTEGER NOT NULL,
  PRIMARY KEY (version, expected)
) STRICT, WITHOUT ROWID;
INSERT INTO rejection VALUES(2,X'a4895eb44afc336fecbba6e520cd67e178dace0276655d102fceffa8e5f70570','digest differs',1700000000000);
CREATE TABLE fill (
  id              INTEGER PRIMARY KEY AUTOINCREMENT,
  version         INTEGER NOT NULL UNIQUE REFERENCES object_version (id),
  generation      INTEGER NOT NULL,
  expected_digest BLOB    CHECK (length(expected_digest) = 32),
  size            INTEGER,
  started_ms      INTEGER NOT NULL
) STRICT;
INSERT INTO fill VALUES(3,2,2,X'a4895eb44afc336fecbba6e520cd67e178dace0276655d102fceffa8e5f70570',9,1700000000000);
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
INSERT INTO blob VALUES(X'5ae59463830c7803a496d689f24aa3eab1e64652b88d933a5bf493bcf0723145',12,1700000000000,9,1700000000000,0,NULL,2049,77,1700000000000000001,1700000000000000002);
CREATE TABLE verification (
  blob     BLOB    NOT NULL REFERENCES blob (digest) ON DELETE CASCADE,
  policy   TEXT    NOT NULL,
  verified INTEGER NOT NULL,
  wall_ms  INTEGER NOT NULL,
  PRIMARY KEY (blob, policy)
) STRICT, WITHOUT ROWID;
INSERT INTO verification VALUES(X'5ae59463830c7803a496d689f24aa3eab1e64652b88d933a5bf493bcf0723145','require=digest',3,1700000000000);
CREATE TABLE pin (
  digest   BLOB    NOT NULL CHECK (length(digest) = 32),
  owner    TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  added_ms INTEGER NOT NULL,
  PRIMARY KEY (digest, owner)
) STRICT, WITHOUT ROWID;
INSERT INTO pin VALUES(X'5ae59463830c7803a496d689f24aa3eab1e64652b88d933a5bf493bcf0723145','operator','demo',1700000000000);
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
INSERT INTO event VALUES(1,1700000000000,1,'fill.done',0,'vendor','sensor/1.2.3/nrf52',X'5ae59463830c7803a496d689f24aa3eab1e64652b88d933a5bf493bcf0723145',NULL,'filled','{}');
CREATE TABLE setting (
  key   TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO setting VALUES('run.boot_id','b');
INSERT INTO setting VALUES('run.ended','clean');
INSERT INTO setting VALUES('time.floor_ms','1700000000000');
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
, held TEXT NOT NULL DEFAULT '{}') STRICT;
INSERT INTO device VALUES(1,'roof-1','sensor',1,'["lab"]','http','10.0.0.7:4711',1763000000000,1763000600000,'{"application":"1.2.2"}','{"site":"roof"}',NULL,'{"application":"hawkbit"}');
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
INSERT INTO deployment VALUES(1,'{"name":"","parts":[{"component":"application","name":"sensor","version":"1.2.3"}],"target":{"type":"sensor"}}',1,'',0,0,'',NULL,NULL,1763000000000,NULL);
INSERT INTO deployment VALUES(2,'{"name":"hawkbit 17","parts":[{"component":"application","name":"sensor","version":"1.2.3","store":"hawkbit"}],"target":{"devices":["roof-1"]},"policy":{"once":true}}',3,'1 devices updated',0,0,'{}','hawkbit','17',1763000000000,1763000700000);
CREATE TABLE member (
  deployment INTEGER NOT NULL REFERENCES deployment (id) ON DELETE CASCADE,
  device     INTEGER NOT NULL REFERENCES device (id) ON DELETE CASCADE,
  state      INTEGER NOT NULL,             -- rollout::MemberState
  admitted   INTEGER NOT NULL,
  attempts   INTEGER NOT NULL,
  PRIMARY KEY (deployment, device)
) STRICT, WITHOUT ROWID;
INSERT INTO member VALUES(1,1,1,1,1);
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
INSERT INTO attempt VALUES(1,1,1,1,0,0,0,'',X'','[{"component":"application","name":"sensor","version":"1.2.3","type":"sensor","sha256":"aa00000000000000000000000000000000000000000000000000000000000000","size":4}]',1763000500000,NULL);
CREATE TABLE outbox (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  destination TEXT    NOT NULL,            -- "store:<name>" or "webhook:<name>"
  subject     TEXT    NOT NULL,
  body        TEXT    NOT NULL,
  added_ms    INTEGER NOT NULL
, kind INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO outbox VALUES(4,'store:hawkbit','17','{"device":"roof-1","done":0,"total":0,"code":0,"message":""}',1763000700000,2);
CREATE TABLE assignment (
  deployment INTEGER PRIMARY KEY REFERENCES deployment (id) ON DELETE CASCADE,
  device     TEXT    NOT NULL,             -- its id
  said       TEXT    NOT NULL,             -- JSON: as the store said it last
  confirm    INTEGER NOT NULL,             -- rollout::Confirmation
  outcome    INTEGER                       -- rollout::FeedbackKind that ended it; NULL: open
) STRICT;
INSERT INTO assignment VALUES(2,'roof-1','{"external_id":"17","device":"roof-1","mode":0,"window":0,"not_before_ms":0,"needs_confirm":false,"parts":[{"component":"application","name":"sensor","version":"1.2.3","params":[],"object":{"key":"k","change_token":"1","flags":1,"modified_ms":0,"metadata":[],"locators":[]}}]}',0,2);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('fill',3);
INSERT INTO sqlite_sequence VALUES('event',1);
INSERT INTO sqlite_sequence VALUES('device',1);
INSERT INTO sqlite_sequence VALUES('deployment',2);
INSERT INTO sqlite_sequence VALUES('outbox',4);
INSERT INTO sqlite_sequence VALUES('attempt',1);
CREATE INDEX object_skipped ON object (store, key) WHERE skipped IS NOT NULL;
CREATE INDEX firmware_in_order ON firmware (name, version, type, store);
CREATE INDEX firmware_by_digest ON firmware (COALESCE(blob, expected_digest));
CREATE INDEX blob_by_use ON blob (used_sequence);
CREATE INDEX member_of ON member (device);
CREATE UNIQUE INDEX attempt_open ON attempt (device) WHERE ended_ms IS NULL;
CREATE INDEX attempt_of_device ON attempt (device, id);
CREATE INDEX attempt_of_deployment ON attempt (deployment, id);
CREATE INDEX outbox_in_order ON outbox (destination, subject, id);
COMMIT;
