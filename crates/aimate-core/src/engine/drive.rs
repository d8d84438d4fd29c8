//! The task that writes an answer.

use std::sync::Arc;

use tracing::Instrument as _;

use super::Engine;
use super::end_run::EndRun;
use crate::chat::accounting::Accounting;
use crate::chat::channel::Channel;
use crate::chat::driver::Driver;
use crate::chat::end::PartialAnswer;
use crate::chat::log::Log;
use crate::chat::model_call::ModelCall;
use crate::chat::tool_loop::ToolLoop;
use crate::message::Message;
use crate::per_user::UserPlace;
use crate::run::Run;

impl Engine {
    /// Starts the task that writes an answer.
    #[allow(clippy::too_many_arguments, reason = "each is handed on to the driver as it is")]
    pub(super) fn drive(
        &self,
        channel: Arc<Channel>,
        run: Run,
        answer: Message,
        place: UserPlace,
        call: ModelCall,
        tools: Option<ToolLoop>,
        begun: PartialAnswer,
        accounting: Accounting,
    ) {
        let inner = &self.inner;
        let tasks = inner.tasks.clone();
        let end = EndRun { engine: self.for_task(), channel: channel.clone(), run: run.clone() };
        let driver = Driver {
            runs: inner.stores.runs.clone(),
            outputs: inner.stores.tool_outputs.clone(),
            usage: inner.stores.usage.clone(),
            sources: inner.sources.clone(),
            channel,
            run,
            answer,
            interrupt: inner.interrupt.clone(),
            log: Log::new(Arc::new(move |save| tasks.spawn(save))),
            tools: tools.as_ref().map(ToolLoop::names),
            has_own_tools: call.request.has_own_tools(),
            notices: inner.observers.notices.clone(),
        };
        let drive = async move {
            let (_end, _place) = (end, place);
            driver.drive(call, tools, begun, accounting).await;
        };
        inner.tasks.spawn(drive.in_current_span());
    }
}
