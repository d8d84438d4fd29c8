//! Who waits for a tool in tests.

use std::sync::{Arc, Mutex};

use aimate_core::tool::{Elicitation, ElicitationAnswer, ToolCaller, ToolProgress};
use async_trait::async_trait;

/// Answers every question alike, and remembers what came.
pub(crate) struct Person {
    answer: Option<ElicitationAnswer>,
    pub(crate) asked: Mutex<Vec<Elicitation>>,
    pub(crate) progress: Mutex<Vec<ToolProgress>>,
}

impl Person {
    pub(crate) fn who_answers(answer: ElicitationAnswer) -> Arc<Self> {
        Arc::new(Self { answer: Some(answer), asked: Mutex::default(), progress: Mutex::default() })
    }

    /// Who never answers.
    pub(crate) fn away() -> Arc<Self> {
        Arc::new(Self { answer: None, asked: Mutex::default(), progress: Mutex::default() })
    }

    pub(crate) fn questions(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.message.clone()).collect()
    }
}

#[async_trait]
impl ToolCaller for Person {
    fn progress(&self, progress: ToolProgress) {
        self.progress.lock().unwrap().push(progress);
    }

    async fn elicit(&self, question: Elicitation) -> ElicitationAnswer {
        self.asked.lock().unwrap().push(question);
        match &self.answer {
            Some(answer) => answer.clone(),
            None => std::future::pending().await,
        }
    }
}
