//! all-MiniLM-L6-v2 beside what sentence-transformers makes of it.

use std::path::PathBuf;

use aimate_providers::local::LocalEmbedder;

/// The vectors of [`texts`] one after the other, as little-endian f32. They come
/// from a forward pass in float64 (NumPy) over the tokens of the Python package
/// `tokenizers` 0.23, cut at 256; onnxruntime 1.31 gives the same to 1e-6.
static VECTORS: &[u8] = include_bytes!("minilm.f32");

/// Texts, and how many tokens each has.
fn texts() -> Vec<(String, usize)> {
    let texts = [
        ("", 2),
        ("A man is eating food.", 8),
        ("Hello, World! It's 5 o'clock—don't be late…", 20),
        ("Die Straße in München ist naß; œuvre, naïve café, Ångström", 20),
        ("東京タワーは333メートルです。中文分词测试", 23),
        ("Москва — столица России", 21),
        ("العربية لغة جميلة, हिन्दी में पाठ", 25),
        ("emoji 😀👍🏽 한국어 텍스트", 21),
        ("control\u{0}chars\u{7}and\u{200b}zero\u{feff}width\u{85}nel\u{2028}ls", 13),
        ("[CLS] and [SEP] in text [MASK]", 8),
        ("fn main() { println!(\"{}\", a[0] + b * 2.5e-3); }", 33),
    ];
    let long = [("The quick brown fox jumps over the lazy dog. ".repeat(60), 602), ("a".repeat(100000), 3)];
    texts.into_iter().map(|(text, tokens)| (text.to_owned(), tokens)).chain(long).collect()
}

#[expect(clippy::disallowed_methods, reason = "tests are told of the model by the environment")]
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("AIMATE_TEST_MODEL").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        println!("skipped: AIMATE_TEST_MODEL names no folder of all-MiniLM-L6-v2");
    }
    folder.map(PathBuf::from)
}

#[test]
fn minilm_makes_the_vectors_of_sentence_transformers() {
    let Some(folder) = folder() else { return };
    let embedder = LocalEmbedder::open(&folder).unwrap();
    assert_eq!((embedder.dimensions(), embedder.max_tokens()), (384, 256));
    // Another version makes every collection there is embed its documents again.
    assert_eq!(embedder.version(), "44651ca8caf445f4");
    let texts = texts();
    let all: Vec<&str> = texts.iter().map(|(text, _)| text.as_str()).collect();
    let vectors = embedder.embed(&all).unwrap();
    let (floats, _) = VECTORS.as_chunks::<4>();
    let expected: Vec<f32> = floats.iter().map(|float| f32::from_le_bytes(*float)).collect();
    assert_eq!(expected.len(), texts.len() * 384);
    for (((text, tokens), vector), expected) in texts.iter().zip(&vectors).zip(expected.chunks_exact(384)) {
        assert_eq!(embedder.count_tokens(text), *tokens, "{text:.40}");
        let cosine: f64 = vector.iter().zip(expected).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        assert!(cosine > 0.999_999, "{cosine}: {text:.40}");
    }
}
