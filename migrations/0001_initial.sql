-- Names of the database itself: its random id.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

-- One row per committed configuration. Times are milliseconds since 1970, UTC.
CREATE TABLE revisions (
    number     BIGINT PRIMARY KEY NOT NULL,
    created_at BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    summary    TEXT NOT NULL,
    body_hash  TEXT NOT NULL
);

-- Immutable rows but for removed_in: revision n is created_in <= n and (removed_in IS NULL or removed_in > n).
CREATE TABLE resources (
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_in BIGINT NOT NULL REFERENCES revisions (number),
    removed_in BIGINT REFERENCES revisions (number),
    PRIMARY KEY (kind, name, created_in)
);

CREATE UNIQUE INDEX resources_current ON resources (kind, name) WHERE removed_in IS NULL;

-- What each revision changed. A missing "before" is a creation, a missing "after" a deletion.
CREATE TABLE audit (
    id       BIGINT PRIMARY KEY NOT NULL,
    revision BIGINT NOT NULL REFERENCES revisions (number),
    at       BIGINT NOT NULL,
    actor    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    name     TEXT NOT NULL,
    action   TEXT NOT NULL,
    before   TEXT,
    after    TEXT
);

CREATE INDEX audit_by_resource ON audit (kind, name, id);
CREATE INDEX audit_by_revision ON audit (revision, id);

-- Encrypted bytes in base64; configurations name them by id.
CREATE TABLE secrets (
    id         TEXT PRIMARY KEY NOT NULL,
    sealed     TEXT NOT NULL,
    created_in BIGINT NOT NULL
);

-- Who may call the REST API; only SHA-256 of each token is kept.
CREATE TABLE tokens (
    name       TEXT PRIMARY KEY NOT NULL,
    role       TEXT NOT NULL,
    hash       TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
