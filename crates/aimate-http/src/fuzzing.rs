//! What fuzz targets reach of this crate's parsers. No part of its interface.

pub use crate::knowledge::fuzzing::{Part, boundary, file_headers, part_head, parts};
use crate::options::Options;

/// Whether local mode answers a request that would change something.
pub fn is_answered(host: &[u8], origin: Option<&[u8]>, allowed_origins: &[String]) -> bool {
    let mut request = http::Request::builder().method(http::Method::POST).header(http::header::HOST, host);
    if let Some(origin) = origin {
        request = request.header(http::header::ORIGIN, origin);
    }
    let options = Options { allowed_origins: allowed_origins.to_vec(), ..Options::local() };
    request.body(()).is_ok_and(|request| crate::origin::check(&options, &request).is_ok())
}
