//! `aimate search`.

use aimate::engine::Knowledge;
use aimate::knowledge::{
    DocumentFilter, DocumentStatus, HitExplanation, SearchExplanation, SearchHit, SearchMode, SearchRequest,
    SearchResponse, Timings,
};
use aimate::{Error, PageRequest, Result};

use crate::config::Config;
use crate::terminal::{counted, number, plain, say, snippet, takes_marks};

/// Characters of a passage that are shown.
const SNIPPET: usize = 280;
/// Bold, and not any more.
const BOLD: (&str, &str) = ("\u{1b}[1m", "\u{1b}[0m");

/// What `search` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct SearchArguments {
    /// What to look for, in plain words
    query: String,
    /// A collection to look in, by name or id; may be given several times [default: all]
    #[arg(long = "collection", value_name = "NAME")]
    collections: Vec<String>,
    /// Passages at most
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// By words and meaning (`hybrid`), by meaning (`vector`) or by words (`text`)
    #[arg(long, default_value_t)]
    mode: SearchMode,
    /// Tell how each score came about, and how long it took
    #[arg(long)]
    explain: bool,
    /// Print the response as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: Config,
}

/// Prints the passages that answer a question best.
pub(crate) async fn search(arguments: SearchArguments) -> Result<()> {
    let (builder, _) = arguments.config.engine().await?;
    let engine = builder.readers(0).build().await?;
    let me = engine.local_scope().await?;
    let knowledge = engine.knowledge(&me);
    let request = SearchRequest::new(arguments.query)
        .collections(arguments.collections)
        .limit(arguments.limit)
        .mode(arguments.mode)
        // People see the terms marked in the passages, so they are always wanted.
        .explain(arguments.explain || !arguments.json);
    let outcome = match knowledge.search(&request).await {
        Ok(response) if arguments.json => print_json(&response),
        Ok(response) => {
            print(&response, arguments.explain);
            tell_unread(&knowledge).await
        }
        Err(error) => Err(error),
    };
    engine.drain(std::time::Duration::ZERO).await;
    outcome
}

/// Prints what `POST /api/v1/knowledge/search` answers.
fn print_json(response: &SearchResponse) -> Result<()> {
    let json = serde_json::to_string_pretty(response)
        .map_err(|error| Error::internal("the answer cannot be written as JSON").with_source(error))?;
    say(&json);
    Ok(())
}

fn print(response: &SearchResponse, explain: bool) {
    let search = response.explain.clone().unwrap_or_default();
    for (rank, hit) in (1..).zip(&response.hits) {
        print_hit(rank, hit, &search, explain);
    }
    if response.hits.is_empty() {
        say(if search.chunks == 0 { "there are no documents to look in" } else { "nothing found" });
    }
    for warning in &response.warnings {
        eprintln!("note: {warning}");
    }
    if explain {
        print_explanation(&search);
    }
}

fn print_hit(rank: usize, hit: &SearchHit, search: &SearchExplanation, explain: bool) {
    let marks = takes_marks().then_some(BOLD);
    let page = hit.page.map(|page| format!(", page {page}")).unwrap_or_default();
    say(&format!("{rank:>2}  {:.3}  {}{page}", hit.score, plain(&hit.title)));
    let path = hit.headings.iter().filter(|heading| **heading != hit.title);
    let path: Vec<_> = path.map(|heading| plain(heading)).collect();
    if !path.is_empty() {
        say(&format!("    {}", path.join(" > ")));
    }
    say(&format!("    {}", snippet(&hit.text, &search.terms, SNIPPET, marks)));
    if let Some(hit) = hit.explain.as_ref().filter(|_| explain) {
        say(&format!("    {}", explain_hit(hit, search.max_bm25)));
    }
    say("");
}

/// How a hit's score came about, in a line.
fn explain_hit(explain: &HitExplanation, max_bm25: f32) -> String {
    let retriever = |name: &str, rank: Option<u32>, score: Option<String>| {
        let rank = rank.map_or_else(|| "not found".to_owned(), |rank| format!("rank {rank}"));
        let score = score.map(|score| format!(", {score}")).unwrap_or_default();
        format!("{name}: {rank}{score}")
    };
    let bm25 = explain.bm25.map(|bm25| format!("BM25 {bm25:.3} of {max_bm25:.3}"));
    let mut parts = vec![
        retriever("words", explain.text_rank, bm25),
        retriever("meaning", explain.vector_rank, explain.cosine.map(|cosine| format!("cosine {cosine:.3}"))),
        format!("fused {:.3}", explain.fused),
    ];
    parts.extend(explain.rerank.map(|score| format!("reranked {score:.3}")));
    parts.join("; ")
}

fn print_explanation(search: &SearchExplanation) {
    let Timings { embed_ms, text_ms, vector_ms, rerank_ms, total_ms, .. } = search.timings;
    let models = if search.models.is_empty() { "none".to_owned() } else { search.models.join(", ") };
    say(&format!("terms       {}", plain(&search.terms.join(" "))));
    say(&format!("models      {models}"));
    say(&format!(
        "weights     {:.2} meaning (cosine), {:.2} words (BM25 of the most there can be)",
        search.cosine_weight,
        1.0 - search.cosine_weight
    ));
    say(&format!(
        "candidates  {} by words, {} by meaning, of {} chunks",
        search.text_candidates,
        search.vector_candidates,
        number(search.chunks)
    ));
    say(&format!(
        "time        {total_ms:.1} ms: words {text_ms:.1}, embedding {embed_ms:.1}, meaning {vector_ms:.1}, \
         reranking {rerank_ms:.1}"
    ));
}

/// Says so if there are documents that cannot be found yet.
async fn tell_unread(knowledge: &Knowledge) -> Result<()> {
    let filter = DocumentFilter { status: Some(DocumentStatus::Pending), ..DocumentFilter::default() };
    let page = knowledge.documents(&filter, PageRequest::first(PageRequest::MAX_LIMIT)).await?;
    if !page.data.is_empty() {
        let count = counted(page.data.len() as u64, "document");
        let more = if page.next.is_some() { " or more" } else { "" };
        eprintln!(
            "note: {count}{more} not read yet, so not found: run `aimate ingest` on their folder again, or start \
             the server"
        );
    }
    Ok(())
}
