//! The system messages at the start of a conversation, as one.

use mellea_core::{Content, Message, Role};

/// The text of the system messages at the start, and how many they are: services and chat templates take one. Empty ones
/// are none; the text is `None` if nothing is left.
///
/// Where one of them holds more than plain text, such as a mark for a cache, all stay as they are: then they are 0. A system
/// message in the middle of a conversation is not looked at.
///
/// ```
/// use mellea_core::Message;
/// use mellea_wire::leading_system;
///
/// let messages = [Message::system("Be brief."), Message::system(""), Message::system("You know Oslo."), Message::user("Hi")];
/// assert_eq!(leading_system(&messages), (Some("Be brief.\n\nYou know Oslo.".to_owned()), 3));
/// ```
#[must_use]
pub fn leading_system<'m>(messages: impl IntoIterator<Item = &'m Message>) -> (Option<String>, usize) {
    let (mut text, mut count) = (String::new(), 0);
    for message in messages.into_iter().take_while(|message| message.role == Role::System) {
        let plain = message.content.iter().all(|block| matches!(block, Content::Text(block) if !block.cache));
        if !plain {
            return (None, 0);
        }
        count += 1;
        let own = message.text();
        if !own.trim().is_empty() {
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(&own);
        }
    }
    ((!text.is_empty()).then_some(text), count)
}
