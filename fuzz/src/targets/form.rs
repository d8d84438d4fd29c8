use aimate_http::fuzzing::parts;

use super::{cut, with_cuts};
use crate::Target;

const BOUNDARY: &str = "b";

pub(super) const MULTIPART: Target = Target {
    name: "multipart",
    run: multipart,
    seeds: || {
        with_cuts(&[
            "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nA manual\r\n--b  \r\n\
             content-type: text/plain\r\ncontent-disposition: form-data; name=file; filename=\"a.txt\"\r\n\r\n\
             one\r\n--two\r\n-\r\n--c\r\r\n--b--\r\nrest",
            "preamble\r\n--b\r\ncontent-disposition:form-data;name=\"a\";filename*=UTF-8''%C3%A9.txt\r\n\r\n\r\n--b--",
            "--b--",
        ])
    },
    words: &[
        "--b",
        "--b--",
        "\r\n--b\r\n",
        "\r\n--b--",
        "\r\n",
        "\r",
        "\n",
        "--",
        "-",
        "b",
        "\r\n\r\n",
        "Content-Disposition: form-data; name=\"a\"",
        "Content-Disposition:",
        "form-data",
        "; filename=\"",
        "; filename*=UTF-8''%",
        "Content-Type: text/plain\r\n",
        "\"",
        "\\\"",
        "%22",
        "=",
        ";",
    ],
};

/// A form is read alike however it is cut, and holds no more than its body.
pub fn multipart(input: &[u8]) {
    let (pieces, body) = cut(input);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let whole = runtime.block_on(parts(BOUNDARY, &[body]));
    assert_eq!(runtime.block_on(parts(BOUNDARY, &pieces)), whole);
    let Some(whole) = whole else { return };
    let content: usize = whole.iter().map(|part| part.content.len()).sum();
    assert!(content <= body.len());
    assert!(whole.iter().all(|part| !part.content.windows(5).any(|window| window == b"\r\n--b")));
}
