-- What stores ask for: a deployment of one device each, and what they have yet to be told of it.

CREATE TABLE assignment (
  deployment INTEGER PRIMARY KEY REFERENCES deployment (id) ON DELETE CASCADE,
  device     TEXT    NOT NULL,             -- its id
  said       TEXT    NOT NULL,             -- JSON: as the store said it last
  confirm    INTEGER NOT NULL,             -- rollout::Confirmation
  outcome    INTEGER                       -- rollout::FeedbackKind that ended it; NULL: open
) STRICT;

-- What feedback it is: a newer one of a kind takes the place of one that nobody was told yet.
ALTER TABLE outbox ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;

-- JSON: component -> store whose last assignment the device fulfilled.
ALTER TABLE device ADD COLUMN held TEXT NOT NULL DEFAULT '{}';
