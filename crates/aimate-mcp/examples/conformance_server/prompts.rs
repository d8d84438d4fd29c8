//! The suite's prompts.

use rmcp::model::*;
use serde_json::{Value, json};

use crate::input;
use crate::resources::PNG;

pub(crate) fn all() -> Vec<Prompt> {
    let plain = |name: &str| Prompt::new(name, Some("A prompt of the suite"), None);
    let arguments = ["arg1", "arg2"].map(|name| {
        PromptArgument::new(name).with_description("An argument of the suite").with_required(true)
    });
    vec![
        plain("test_simple_prompt"),
        Prompt::new(
            "test_prompt_with_arguments",
            Some("A prompt that takes arguments"),
            Some(arguments.to_vec()),
        ),
        plain("test_prompt_with_embedded_resource"),
        plain("test_prompt_with_image"),
        plain("test_input_required_result_prompt"),
    ]
}

pub(crate) fn get(request: &GetPromptRequestParams) -> Result<GetPromptResponse, ErrorData> {
    let said = |text: String| PromptMessage::new_text(Role::User, text);
    let messages = match request.name.as_str() {
        "test_simple_prompt" => vec![said("This is a simple prompt for testing.".to_owned())],
        "test_prompt_with_arguments" => {
            let argument = |name: &str| {
                let given = request.arguments.as_ref().and_then(|given| given.get(name));
                given.and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            vec![said(format!(
                "Prompt with arguments: arg1='{}', arg2='{}'",
                argument("arg1"),
                argument("arg2")
            ))]
        }
        "test_prompt_with_embedded_resource" => {
            let given = request.arguments.as_ref().and_then(|given| given.get("resourceUri"));
            let uri = given.and_then(Value::as_str).unwrap_or("test://example-resource");
            let resource = ResourceContents::text("Embedded resource content for testing.", uri);
            vec![
                PromptMessage::new(Role::User, ContentBlock::resource(resource)),
                said("Please process the embedded resource above.".to_owned()),
            ]
        }
        "test_prompt_with_image" => vec![
            PromptMessage::new(Role::User, ContentBlock::image(PNG, "image/png")),
            said("Please analyze the image above.".to_owned()),
        ],
        "test_input_required_result_prompt" => {
            let Some(given) = input::given(request.input_responses.as_ref(), "user_context") else {
                let wanted = input::elicitation(
                    "What context should the prompt use?",
                    json!({"context": {"type": "string"}}),
                    &["context"],
                );
                return Ok(input::required([("user_context", wanted)], None).into());
            };
            vec![said(format!("Use this context: {}", given["content"]["context"]))]
        }
        name => return Err(ErrorData::invalid_params(format!("there is no prompt {name}"), None)),
    };
    Ok(GetPromptResult::new(messages).into())
}
