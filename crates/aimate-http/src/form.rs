//! Forms with bytes that go on as they come.

pub(crate) mod multipart;

use aimate_core::Error;
use aimate_core::knowledge::ByteStream;
use axum::extract::Request;
use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use http::header::EXPECT;

use self::multipart::{Multipart, Pace, boundary};
use crate::app::App;
use crate::error::{Failure, Result};
use crate::json;
use crate::options::Options;

/// Maximum bytes of a body besides its file.
const MAX_OVERHEAD: u64 = 1_024 * 1_024;
/// Parts of a form at most.
pub(crate) const MAX_PARTS: usize = 20;

/// What reads a form.
pub(crate) trait FormReader: Send {
    /// What it makes of one.
    type Output: Send;

    /// Reads the form.
    fn read(self, form: &mut Multipart<'_>) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// What `reader` makes of the form of a request whose file has at most `max_bytes`; `no_form` is
/// the answer to a body that is none.
pub(crate) async fn read<R: FormReader>(
    app: &App,
    request: Request,
    max_bytes: u64,
    no_form: impl FnOnce() -> Failure + Send,
    reader: R,
) -> Result<R::Output> {
    let boundary = boundary(request.headers());
    let length = json::content_length(request.headers()).unwrap_or(0);
    // A client that sent `Expect: 100-continue` sends nothing before the body is read, so a
    // refusal needs no draining then.
    let mut is_sending = !request.headers().contains_key(EXPECT);
    let mut body = request.into_body();
    let outcome = match boundary {
        Err(error) => Err(error.into()),
        Ok(None) => Err(no_form()),
        Ok(Some(_)) if length > max_bytes + MAX_OVERHEAD => {
            Err(Error::too_large(format!("the file is larger than the maximum of {max_bytes} bytes")).into())
        }
        Ok(Some(boundary)) => {
            is_sending = true;
            let Options { body_timeout, min_upload_rate, .. } = app.options;
            let pace = Pace { piece: body_timeout, rate: min_upload_rate };
            let mut form = Multipart::new(&mut body, &boundary, pace);
            let read = reader.read(&mut form).await;
            read.map_err(|failure| {
                if form.has_timed_out() {
                    Failure::with_status(failure.error, StatusCode::REQUEST_TIMEOUT)
                } else {
                    failure
                }
            })
        }
    };
    if is_sending {
        json::drain(&mut body).await;
    }
    outcome
}

/// The answer to a body that is no form, where nothing else would do.
pub(crate) fn no_form() -> Failure {
    Error::field("Content-Type", "must be `multipart/form-data`").into()
}

/// The content of the part that is read.
pub(crate) fn content<'a>(form: &'a mut Multipart<'_>) -> ByteStream<'a> {
    let pieces = stream::unfold(form, |form| async move {
        let piece = form.piece().await.transpose()?;
        Some((piece, form))
    });
    pieces.boxed()
}
