use aimate_providers::fuzzing;

use super::{cut, with_cuts};
use crate::Target;

pub(super) const EVENTS: Target = Target {
    name: "events",
    run: events,
    seeds: || {
        with_cuts(&[
            "\u{FEFF}: hello\n\ndata: {\"a\":\"ä€😀\"}\n\nevent: error\r\ndata: one\r\ndata:two\r\n\r\n\
             id: 7\rdata: three\r\r:\n\n{\"error\":\"x\"}\n\ndata\n\ndata: [DONE]",
            "event: a\ndata: 1\n\nevent\ndata\n\n",
        ])
    },
    words: &[
        "data: ", "data:", "data", "event: ", "event", ": ", "\n", "\n\n", "\r", "\r\n", "\r\n\r\n", "{",
        "[DONE]", "\u{FEFF}", " ",
    ],
};

/// Events are the same however the body is cut, and hold no more than it.
pub fn events(input: &[u8]) {
    let (pieces, body) = cut(input);
    let whole = fuzzing::events(&[body]);
    assert_eq!(fuzzing::events(&pieces), whole);
    let held: usize = whole.unwrap().iter().map(|(event, data)| event.len() + data.len()).sum();
    assert!(held <= body.len());
}

pub(super) const JSON_LINES: Target = Target {
    name: "json_lines",
    run: json_lines,
    seeds: || with_cuts(&["{\"a\":\"ä\"}\r\n\n{\"b\":2}\n{\"c\":3}", "\n \n\t\r\n"]),
    words: &["\n", "\r\n", "\r", "{}", " ", "\t", "\n\n"],
};

/// Lines are those of the whole body, however it is cut, and each lies in one of its lines.
pub fn json_lines(input: &[u8]) {
    let (pieces, body) = cut(input);
    let lines = fuzzing::json_lines(&pieces).unwrap();
    assert_eq!(lines, fuzzing::json_lines(&[body]).unwrap());
    let mut bodies = body.split(|byte| *byte == b'\n');
    let mut lies_in = |data: &[u8]| bodies.any(|line| line.windows(data.len()).any(|part| part == data));
    assert!(lines.iter().all(|(_, data)| lies_in(data)));
}

pub(super) const THOUGHTS: Target = Target {
    name: "thoughts",
    run: thoughts,
    seeds: || {
        with_cuts(&["<think>why</think>so", " \n<think></think>\n\na", "<think>a</thin</think>b</think>"])
    },
    words: &["<think>", "</think>", "<", "/", "think", ">", "<thi", "</thin", " ", "\n"],
};

/// Thoughts and text are the same however the answer is cut.
pub fn thoughts(input: &[u8]) {
    let (pieces, body) = cut(input);
    let Ok(body) = std::str::from_utf8(body) else { return };
    let pieces: Result<Vec<&str>, _> = pieces.into_iter().map(std::str::from_utf8).collect();
    let whole = fuzzing::thoughts(&[body]);
    assert!(whole.0.len() + whole.1.len() <= body.len());
    if let Ok(pieces) = pieces {
        assert_eq!(fuzzing::thoughts(&pieces), whole);
    }
}
