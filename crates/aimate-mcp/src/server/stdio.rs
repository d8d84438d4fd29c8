//! One client over standard input and output.

use aimate_core::{Engine, Error, Result};
use rmcp::ServiceExt;
use rmcp::service::QuitReason;
use rmcp::transport::io::stdio_pipes;

use super::caller::McpCaller;
use super::handler::EngineHandler;

/// Serves `caller` over standard input and output until the input ends. Nothing else may
/// write to standard output meanwhile.
///
/// # Errors
/// `Upstream` if the client does not speak the protocol.
pub async fn serve_stdio(engine: &Engine, caller: McpCaller) -> Result<()> {
    let handler = EngineHandler::for_one(engine.clone(), caller);
    let served = Box::pin(handler.serve(stdio_pipes())).await.map_err(|error| {
        Error::upstream("the client began with no message of the Model Context Protocol").with_source(error)
    })?;
    match served.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => {
            Err(Error::internal("serving the client broke off").with_source(error))
        }
        Ok(_) => Ok(()),
    }
}
