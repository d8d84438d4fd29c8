//! Tools of the application around the engine.

use std::sync::Arc;

use serde_json::Value;

use super::handler::ToolHandler;
use super::{Tool, ToolHints, ToolPolicy};
use crate::error::{Error, Result};
use crate::text::shorten;

/// A tool of the application: a function of its own that models may call.
///
/// ```
/// use aimate_core::tool::{HostTool, ToolContext, ToolPolicy};
/// use serde_json::{Value, json};
///
/// let schema = json!({
///     "type": "object",
///     "properties": {"order": {"type": "string", "description": "The number of the order."}},
///     "required": ["order"],
/// });
/// let cancel = HostTool::new("cancel_order", "Cancels an order.", schema, async |context: ToolContext, arguments: Value| {
///     Ok(format!("Order {} of {} is cancelled.", arguments["order"], context.scope.user))
/// })
/// .policy(ToolPolicy::Ask);
/// # let _ = cancel;
/// ```
#[derive(Clone)]
pub struct HostTool {
    pub(crate) tool: Tool,
    pub(crate) handler: Arc<dyn ToolHandler>,
    pub(crate) policy: ToolPolicy,
}

impl HostTool {
    /// A tool under a name of letters, digits, `_` and `-`, at most 64, whose arguments
    /// follow this JSON Schema. Its calls are made at once.
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        schema: Value,
        handler: impl ToolHandler + 'static,
    ) -> Self {
        Self {
            tool: Tool::new(name, description, schema),
            handler: Arc::new(handler),
            policy: ToolPolicy::Allow,
        }
    }

    /// A tool whose arguments are a type of the application's own: its JSON Schema is the
    /// type's, with the documentation of its fields.
    ///
    /// ```
    /// use aimate_core::tool::{HostTool, ToolContext};
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Order {
    ///     /// The number of the order.
    ///     order: String,
    /// }
    /// let status = HostTool::typed("order_status", "Says where an order is.", async |_: ToolContext, arguments: Order| {
    ///     Ok(format!("Order {} is on its way.", arguments.order))
    /// });
    /// # let _ = status;
    /// ```
    #[cfg(feature = "schemars")]
    pub fn typed<Arguments, Function, Called, Output>(
        name: impl Into<String>,
        description: impl Into<String>,
        function: Function,
    ) -> Self
    where
        Arguments: serde::de::DeserializeOwned + schemars::JsonSchema,
        Function: Fn(super::ToolContext, Arguments) -> Called + Send + Sync + 'static,
        Called: Future<Output = Result<Output>> + Send + 'static,
        Output: Into<super::ToolOutput> + 'static,
    {
        let function = Arc::new(function);
        let handler = move |context: super::ToolContext, arguments: Value| {
            let function = function.clone();
            // Read before the future is made: what they are borrowed from is gone then.
            let arguments = serde_json::from_value::<Arguments>(arguments);
            let called = arguments.map(|arguments| function(context, arguments));
            async move {
                match called {
                    Ok(called) => called.await.map(Into::into),
                    Err(error) => Ok(super::ToolOutput::error(format!("The arguments are wrong: {error}"))),
                }
            }
        };
        let schema = schemars::schema_for!(Arguments).to_value();
        Self::new(name, description, schema, handler)
    }

    /// Whether its calls are made at once, or wait for the person.
    #[must_use]
    pub fn policy(mut self, policy: ToolPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// With what it does to the world, for people who decide on it.
    #[must_use]
    pub fn hints(mut self, hints: ToolHints) -> Self {
        self.tool.hints = hints;
        self
    }

    /// With a name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.tool.title = Some(title.into());
        self
    }

    /// Checks its name and schema.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn check(&self) -> Result<()> {
        let name = &self.tool.name;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            return Err(Error::field(
                "name",
                format!(
                    "`{}` is no tool's name: letters, digits, `_` and `-`, at most 64",
                    shorten(name, 80)
                ),
            ));
        }
        super::schema::ArgumentSchema::compile(&self.tool.input_schema)
            .map(drop)
            .map_err(|why| Error::field("schema", format!("of `{name}`: {why}")))
    }
}

impl std::fmt::Debug for HostTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostTool").field("name", &self.tool.name).finish_non_exhaustive()
    }
}
