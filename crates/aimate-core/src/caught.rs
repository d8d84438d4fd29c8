//! Calls of what an application brings along: a panic of it is an error of that
//! call, and ends no task of the engine.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;

/// What a call panicked with, for the log.
#[derive(Debug)]
pub(crate) struct Panicked(String);

impl Panicked {
    fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self(text.unwrap_or("a value that is no text").to_owned())
    }
}

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it panicked: {}", self.0)
    }
}

impl std::error::Error for Panicked {}

/// What a future gives, or what it panicked with. Nothing of the engine is in a
/// state between two when such a call unwinds: it holds no lock, and what it was
/// lent is not used again.
pub(crate) async fn caught<T>(call: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(call).catch_unwind().await.map_err(|payload| Panicked::new(payload.as_ref()))
}

/// The same for a call that does not wait.
pub(crate) fn caught_now<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Panicked::new(payload.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panic_is_an_error_with_its_words() {
        assert_eq!(caught(async { 1 }).await.unwrap(), 1);
        let said = caught(async { panic!("of {}", 2) }).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(said.to_string(), "it panicked: of 2");
        let odd = caught_now(|| std::panic::panic_any(3)).map(|(): ()| ()).unwrap_err();
        assert_eq!(odd.to_string(), "it panicked: a value that is no text");
    }
}
