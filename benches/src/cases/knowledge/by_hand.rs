//! The same on PostgreSQL by hand: one table, plain SQL, one connection.

use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use futures_util::SinkExt as _;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};
use uuid::Uuid;

use super::data::{DIMENSIONS, Data, KEPT, bucket};
use super::half::Half;
use crate::Result;

/// Candidates whose vectors are compared exactly after the bits were.
const RESCORED: usize = 200;
/// Bytes of a COPY that are sent at once.
const PIECE: usize = 1 << 20;

/// A connection to a database of its own.
pub(super) struct ByHand {
    client: Client,
}

impl ByHand {
    pub(super) async fn connect(database: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(database, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("CREATE EXTENSION IF NOT EXISTS vector").await?;
        Ok(Self { client })
    }

    /// The limit of an ingest: COPY into a table without any index.
    pub(super) async fn copy(&self, texts: &[String], vectors: Option<&[Vec<f32>]>) -> Result<Duration> {
        let vector =
            if vectors.is_some() { format!(", embedding halfvec({DIMENSIONS})") } else { String::new() };
        self.client
            .batch_execute(&format!(
                "DROP TABLE IF EXISTS bare; CREATE TABLE bare (id uuid, content text{vector})"
            ))
            .await?;
        let begun = Instant::now();
        let mut copy = Copy::start(&self.client, "COPY bare FROM STDIN (FORMAT binary)").await?;
        for (place, text) in texts.iter().enumerate() {
            copy.row(2 + i16::from(vectors.is_some()));
            copy.field(id(place).as_bytes());
            copy.field(text.as_bytes());
            if let Some(vectors) = vectors {
                copy.field(Half::new(&vectors[place % vectors.len()]).bytes());
            }
            copy.flush(PIECE).await?;
        }
        copy.finish().await?;
        Ok(begun.elapsed())
    }

    /// Fills the table that is searched, with what its searches need but HNSW.
    pub(super) async fn fill(&self, data: &Data) -> Result<Duration> {
        self.client
            .batch_execute(&format!(
                "CREATE TABLE pieces (
                    id uuid NOT NULL, collection int NOT NULL, bucket int NOT NULL, content text NOT NULL,
                    embedding halfvec({DIMENSIONS}) NOT NULL,
                    bits bit({DIMENSIONS}) GENERATED ALWAYS AS
                        (binary_quantize(embedding)::bit({DIMENSIONS})) STORED,
                    words tsvector GENERATED ALWAYS AS (to_tsvector('english', content)) STORED);
                 ALTER TABLE pieces ALTER COLUMN embedding SET STORAGE PLAIN"
            ))
            .await?;
        let begun = Instant::now();
        let statement = "COPY pieces (id, collection, bucket, content, embedding) FROM STDIN (FORMAT binary)";
        let mut copy = Copy::start(&self.client, statement).await?;
        for (place, text) in data.texts.iter().enumerate() {
            copy.row(5);
            copy.field(id(place).as_bytes());
            copy.field(&1i32.to_be_bytes());
            copy.field(&(bucket(place) as i32).to_be_bytes());
            copy.field(text.as_bytes());
            copy.field(Half::new(data.vector(place)).bytes());
            copy.flush(PIECE).await?;
        }
        copy.finish().await?;
        self.client
            .batch_execute(
                "SET maintenance_work_mem = '512MB';
                 ALTER TABLE pieces ADD PRIMARY KEY (id);
                 CREATE INDEX pieces_bits ON pieces (collection) INCLUDE (id, bits);
                 CREATE INDEX pieces_bucket_bits ON pieces (collection, bucket) INCLUDE (id, bits);
                 CREATE INDEX pieces_words ON pieces USING gin (words)",
            )
            .await?;
        let time = begun.elapsed();
        self.vacuum().await?;
        Ok(time)
    }

    /// A second table that has an HNSW index and no other way to a vector.
    pub(super) async fn build_hnsw(&self) -> Result<Duration> {
        self.client
            .batch_execute(
                "CREATE TABLE graph AS SELECT id, collection, bucket, content, embedding FROM pieces;
                 ALTER TABLE graph ADD PRIMARY KEY (id)",
            )
            .await?;
        let begun = Instant::now();
        self.client
            .batch_execute(
                "CREATE INDEX graph_hnsw ON graph USING hnsw (embedding halfvec_cosine_ops)
                    WITH (m = 16, ef_construction = 64)",
            )
            .await?;
        let time = begun.elapsed();
        self.vacuum().await?;
        self.client
            .batch_execute("SET hnsw.ef_search = 100; SET hnsw.iterative_scan = relaxed_order")
            .await?;
        Ok(time)
    }

    /// What autovacuum does sooner or later, for everybody before searches are
    /// measured: index-only scans want it.
    pub(super) async fn vacuum(&self) -> Result {
        Ok(self.client.batch_execute("VACUUM ANALYZE").await?)
    }

    pub(super) async fn prepare(&self, way: Way, filtered: bool) -> Result<Prepared> {
        // The planner would not take HNSW where another index is shorter, and the
        // other way round.
        let sequential = if way == Way::Hnsw { "off" } else { "on" };
        self.client.batch_execute(&format!("SET enable_seqscan = {sequential}")).await?;
        let filter = if filtered { format!("AND bucket = {KEPT}") } else { String::new() };
        Ok(Prepared { way, statement: self.client.prepare(&way.sql(&filter)).await? })
    }

    /// The places of what was found, best first.
    pub(super) async fn search(
        &self,
        prepared: &Prepared,
        vector: &[f32],
        words: &[String],
    ) -> Result<Vec<usize>> {
        let (vector, words) = (Half::new(vector), words.join(" | "));
        let both: [&(dyn ToSql + Sync); 2] = [&vector, &words];
        let values = match prepared.way {
            Way::Exact | Way::Bits | Way::Hnsw => &both[..1],
            Way::Words => &both[1..],
            Way::Fused => &both[..],
        };
        let rows = self.client.query(&prepared.statement, values).await?;
        Ok(rows.iter().map(place).collect())
    }
}

/// A way to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Exact,
    Bits,
    Hnsw,
    Words,
    Fused,
}

pub(super) struct Prepared {
    way: Way,
    statement: Statement,
}

impl Way {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Exact => "SQL by hand, exact halfvec scan",
            Self::Bits => "SQL by hand, bits in a covering index, 200 rescored",
            Self::Hnsw => "SQL by hand, HNSW (16, 64), relaxed_order, ef_search 100",
            Self::Words => "SQL by hand, GIN tsvector, ts_rank",
            Self::Fused => "SQL by hand, bits and GIN, ranks fused (RRF, depth 100)",
        }
    }

    fn sql(self, filter: &str) -> String {
        let bits = |max: usize| {
            format!(
                "near AS MATERIALIZED (SELECT id FROM pieces WHERE collection = 1 {filter}
                    ORDER BY bits <~> binary_quantize($1::halfvec)::bit({DIMENSIONS}) LIMIT {RESCORED}),
                 vectors AS (SELECT p.id, row_number() OVER (ORDER BY p.embedding <=> $1) AS rank
                    FROM near JOIN pieces p USING (id) ORDER BY p.embedding <=> $1 LIMIT {max})"
            )
        };
        match self {
            Self::Exact => format!(
                "SELECT id, content FROM pieces WHERE collection = 1 {filter}
                 ORDER BY embedding <=> $1 LIMIT 10"
            ),
            Self::Hnsw => format!(
                "SELECT id, content FROM graph WHERE collection = 1 {filter} ORDER BY embedding <=> $1 LIMIT 10"
            ),
            Self::Bits => {
                format!("WITH {} SELECT id, content FROM vectors JOIN pieces USING (id) ORDER BY rank", bits(10))
            }
            Self::Words => format!(
                "SELECT id, content FROM pieces, to_tsquery('english', $1) AS asked
                 WHERE words @@ asked AND collection = 1 {filter} ORDER BY ts_rank(words, asked, 1) DESC LIMIT 20"
            ),
            Self::Fused => format!(
                "WITH {},
                 texts AS (SELECT id, row_number() OVER (ORDER BY ts_rank(words, asked, 1) DESC) AS rank
                    FROM pieces, to_tsquery('english', $2) AS asked
                    WHERE words @@ asked AND collection = 1 {filter}
                    ORDER BY ts_rank(words, asked, 1) DESC LIMIT 100)
                 SELECT id, content FROM (SELECT id,
                    coalesce(1.0 / (60 + v.rank), 0) + coalesce(1.0 / (60 + t.rank), 0) AS score
                    FROM vectors v FULL JOIN texts t USING (id) ORDER BY score DESC LIMIT 10) AS best
                 JOIN pieces USING (id) ORDER BY score DESC",
                bits(100)
            ),
        }
    }
}

/// The id of the row at a place, which it can be told from.
fn id(place: usize) -> Uuid {
    Uuid::from_u128((0x0190_0000_0000_7000_8000 << 48) | place as u128)
}

fn place(row: &Row) -> usize {
    let id: Uuid = row.get(0);
    (id.as_u128() & 0xffff_ffff_ffff) as usize
}

/// `COPY … (FORMAT binary)`, as it comes.
struct Copy {
    sink: std::pin::Pin<Box<tokio_postgres::CopyInSink<bytes::Bytes>>>,
    buffer: BytesMut,
}

impl Copy {
    async fn start(client: &Client, statement: &str) -> Result<Self> {
        let sink = Box::pin(client.copy_in(statement).await?);
        let mut buffer = BytesMut::with_capacity(2 * PIECE);
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        Ok(Self { sink, buffer })
    }

    fn row(&mut self, fields: i16) {
        self.buffer.put_i16(fields);
    }

    fn field(&mut self, bytes: &[u8]) {
        self.buffer.put_i32(bytes.len() as i32);
        self.buffer.extend_from_slice(bytes);
    }

    /// Sends what there is, if it is more than `least` bytes.
    async fn flush(&mut self, least: usize) -> Result {
        if self.buffer.len() > least {
            let piece = self.buffer.split().freeze();
            self.sink.as_mut().send(piece).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result {
        self.buffer.put_i16(-1);
        self.flush(0).await?;
        self.sink.as_mut().finish().await?;
        Ok(())
    }
}
