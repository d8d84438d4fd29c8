//! Which questions find which texts: identifiers, numbers and scripts as people
//! write them on either side.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use aimate_index::analysis::{MAX_QUERY_WORDS, analyze, analyze_query};
use proptest::collection::vec;
use proptest::prelude::*;

/// The terms that both sides have.
fn shared(text: &str, question: &str) -> Vec<String> {
    let text = analyze(text);
    let has = |term: &String| text.counts.binary_search_by(|(other, _)| other.cmp(term)).is_ok();
    analyze_query(question).counts.into_iter().map(|(term, _)| term).filter(has).collect()
}

/// A text, a question, and the terms by which it finds the text.
const FOUND: &[(&str, &str, &[&str])] = &[
    // Letters and digits joined on one side.
    ("Form 10-K, FY2018", "revenue in 2018", &["2018"]),
    ("Form 10-K, FY2018", "FY 2018", &["2018", "fy"]),
    ("Revenue for fiscal 2018", "FY2018", &["2018"]),
    ("Results of Q3FY21", "Q3 FY21", &["21", "fy"]),
    ("COVID19 cases", "covid", &["covid"]),
    ("COVID-19 cases", "covid19", &["19", "covid", "covid19"]),
    ("3GPP release", "gpp 3", &["gpp"]),
    ("ISO-9001 certified", "ISO9001", &["9001", "iso", "iso9001"]),
    ("ISO9001 certified", "ISO 9001", &["9001", "iso"]),
    ("as §12a says", "§ 12", &["12"]),
    ("as §12a says", "12a", &["12", "12a"]),
    ("a screen of 1920x1080", "1080 lines", &["1080"]),
    ("SHA256 sums", "sha-256", &["256", "sha", "sha256"]),
    // Versions.
    ("since v2.1.0", "2.1.0", &["1", "0", "2.1.0"]),
    ("since v2.1.0", "v2.1.0", &["0", "1", "2.1.0", "v2", "v2.1.0"]),
    ("since 2.1.0", "v2.1.0", &["0", "1", "2.1.0"]),
    ("needs Python3.11", "python 3.11", &["11", "3.11", "python"]),
    // Identifiers, joined as each language does it.
    ("call get_user_name()", "getUserName", &["getusernam"]),
    ("call get_user_name()", "user name", &["name", "user"]),
    ("call getUserName()", "get_user_name", &["getusernam"]),
    ("fn user_id2()", "user id", &["id", "user"]),
    ("max-line-length", "line length", &["length", "line"]),
    ("Part no. SN4512AB77", "sn4512ab77", &["4512", "77", "ab", "sn", "sn4512ab77"]),
    ("Part no. SN4512AB77", "4512", &["4512"]),
    ("Part no. SN-4512-AB77", "SN4512AB77", &["4512", "77", "ab", "sn", "sn4512ab77"]),
    // Digits of other scripts.
    ("عام ٢٠١٨", "2018", &["2018"]),
    ("in 2018", "عام ٢٠١٨", &["2018"]),
    ("۱۳۹۷ سال", "1397", &["1397"]),
    ("वर्ष २०१८", "2018", &["2018"]),
    ("พ.ศ. ๒๕๖๑", "2561", &["2561"]),
    ("ＦＹ２０１８", "fy 2018", &["2018", "fy"]),
    ("عام2018", "2018", &["2018"]),
    ("2018年度の売上", "2018", &["2018"]),
    ("2018年度の売上", "２０１８年度", &["2018", "年度"]),
    ("第12条", "12", &["12"]),
    ("2018년 매출", "2018", &["2018"]),
    ("танк Т34", "34", &["34"]),
    ("Boeing747", "boeing 747", &["747", "boe"]),
];

#[test]
fn identifiers_and_numbers_are_found_however_they_are_written() {
    let mut wrong = Vec::new();
    for (text, question, expected) in FOUND {
        let mut expected: Vec<_> = expected.to_vec();
        expected.sort_unstable();
        let found = shared(text, question);
        if found != expected {
            wrong.push(format!("{text} / {question}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn numbers_of_another_value_are_not_found() {
    for (text, question) in [
        ("FY2018", "FY2019 20"),
        ("1.23", "12.3"),
        ("v2.1.0", "2.10"),
        ("٢٠١٨", "2019"),
        ("A4", "B5"),
        ("9f8e7d6c5b4a39281706", "9f8e7d6c5b4a39281707"),
    ] {
        let found = shared(text, question);
        assert!(
            found.iter().all(|term| matches!(term.as_str(), "fy" | "1" | "2")),
            "{text} / {question}: {found:?}"
        );
    }
}

#[test]
fn quotation_marks_and_operators_mean_nothing() {
    let plain = analyze_query("net revenue FY2018");
    for question in
        ["\"net revenue\" FY2018", "“net revenue” FY2018", "+net +revenue +FY2018", "(net) revenue: FY2018*"]
    {
        assert_eq!(analyze_query(question), plain, "{question}");
    }
}

#[test]
fn parts_add_no_length() {
    assert_eq!(analyze("FY2018 revenue").length, 2);
    assert_eq!(analyze("ISO9001").length, analyze("ISO").length);
}

#[test]
fn question_of_many_serial_numbers_is_bounded() {
    let text: String = (0..5_000).map(|n| format!("aa{n:04}bb{n:04}cc{n:04}dd{n:04} ")).collect();
    assert!(analyze_query(&text).counts.len() <= 9 * MAX_QUERY_WORDS);
}

/// A word of letters and digits in many alternations and scripts.
fn word() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            "[a-zA-Z]{1,6}",
            "[0-9]{1,5}",
            "[а-я]{1,4}",
            "[٠-٩]{1,4}",
            "[０-９]{1,3}",
            "[àéîõü]{1,2}"
        ],
        1..7,
    )
    .prop_map(|runs| runs.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Splitting adds terms and takes none away.
    #[test]
    fn whole_word_is_always_a_term(word in word(), other in word()) {
        let alone = analyze_query(&word);
        let whole = alone.counts.iter().max_by_key(|(term, _)| term.chars().count());
        prop_assert!(whole.is_some());
        let parts: usize = alone.counts.len() - 1;
        prop_assert!(parts <= 8, "{alone:?}");
        // The whole has every character of its parts.
        let whole = &whole.unwrap().0;
        for (term, _) in &alone.counts {
            prop_assert!(whole.contains(term.as_str()) || !whole.bytes().any(|byte| byte.is_ascii_digit())
                || !term.bytes().any(|byte| byte.is_ascii_digit()), "{term} of {whole}");
        }
        // In a text, both sides meet in all of them.
        let text = format!("{other} {word}, {other}");
        let found = shared(&text, &word);
        for (term, _) in &alone.counts {
            prop_assert!(found.contains(term), "{term}");
        }
    }
}
