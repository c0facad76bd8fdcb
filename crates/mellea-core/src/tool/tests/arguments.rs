//! Arguments of every shape reach their function, and nothing unchecked does.

use serde::Serialize;

use super::*;

async fn run(tool: impl Tool, arguments: Value) -> ToolOutcome {
    run_with(tool, arguments, ArgumentPolicy::Lenient).await
}

async fn run_with(tool: impl Tool, arguments: Value, policy: ArgumentPolicy) -> ToolOutcome {
    let call = call(&tool.spec().name, arguments);
    Tools::new().with(tool).run(&call, &ToolPolicy::default().with_arguments(policy)).await.outcome
}

fn same<T: serde::de::DeserializeOwned + JsonSchema + Serialize + Send + 'static>() -> FunctionTool {
    tool_fn("same", "Gives back what it gets.", |value: T| Ok(value))
}

fn refused(outcome: &ToolOutcome) -> bool {
    matches!(outcome, ToolOutcome::InvalidArguments { .. })
}

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum Plain {
    Red,
    Green,
}

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum Described {
    /// Like a rose.
    Red,
    /// Like grass.
    Green,
}

#[derive(Deserialize, JsonSchema, Serialize)]
enum External {
    Move { to: u8 },
    Say(String),
    Stop,
}

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(tag = "kind")]
enum Internal {
    Move { to: u8 },
    Stop,
}

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Move { to: u8 },
    Stop,
}

#[derive(Deserialize, JsonSchema, Serialize)]
#[serde(untagged)]
enum Untagged {
    Number(u8),
    Pair { a: u8 },
}

#[derive(Deserialize, JsonSchema, Serialize)]
struct Tree {
    value: u8,
    children: Vec<Self>,
}

#[derive(Deserialize, JsonSchema, Serialize)]
enum Nested {
    Leaf(u8),
    Node(Vec<Self>),
}

#[tokio::test]
async fn an_argument_of_any_type_can_be_given() {
    async fn fits<T: serde::de::DeserializeOwned + JsonSchema + Serialize + Send + 'static>(value: Value) {
        let tool = same::<T>();
        assert_eq!(tool.spec().parameters["type"], "object", "{value}");
        let outcome = run(tool, json!({ "value": value })).await;
        assert_eq!(outcome.value(), Some(&value), "{outcome:?}");
        let strict = run_with(same::<T>(), json!({ "value": value }), ArgumentPolicy::Strict).await;
        assert_eq!(strict.value(), Some(&value), "{strict:?}");
        assert!(refused(&run(same::<T>(), json!({ "value": { "no": [[true]] } })).await));
        assert!(refused(&run(same::<T>(), json!("no object")).await));
    }
    fits::<Plain>(json!("green")).await;
    fits::<Described>(json!("green")).await;
    for value in [json!({"Move": {"to": 3}}), json!({"Say": "hi"}), json!("Stop")] {
        fits::<External>(value).await;
    }
    for value in [json!({"kind": "Move", "to": 3}), json!({"kind": "Stop"})] {
        fits::<Internal>(value).await;
    }
    for value in [json!({"t": "Move", "c": {"to": 3}}), json!({"t": "Stop"})] {
        fits::<Adjacent>(value).await;
    }
    for value in [json!(3), json!({"a": 3})] {
        fits::<Untagged>(value).await;
    }
    fits::<Nested>(json!({"Node": [{"Leaf": 1}, {"Node": []}]})).await;
    fits::<u8>(json!(3)).await;
    fits::<Vec<String>>(json!(["a"])).await;
    fits::<Option<u8>>(json!(3)).await;
    fits::<(u8, String)>(json!([3, "a"])).await;
    let tree = json!({"value": 1, "children": [{"value": 2, "children": []}]});
    assert_eq!(run(same::<Tree>(), tree.clone()).await.value(), Some(&tree), "a struct is the arguments themselves");
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
struct Order {
    #[serde(alias = "n")]
    #[schemars(range(max = 9))]
    count: Option<u32>,
    #[serde(default)]
    items: Vec<Item>,
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
struct Item {
    #[serde(default, alias = "price", alias = "cost")]
    #[schemars(range(max = 100))]
    euros: u32,
}

#[derive(Debug, Deserialize, JsonSchema, Serialize)]
struct Flat {
    #[serde(flatten)]
    item: Item,
    #[serde(flatten)]
    rest: std::collections::BTreeMap<String, u8>,
}

#[tokio::test]
async fn an_alias_passes_no_check() {
    for hidden in [json!({"n": 200}), json!({"n": 1}), json!({"items": [{"euros": 1}, {"cost": 5000}]})] {
        let outcome = run(same::<Order>(), hidden.clone()).await;
        assert!(refused(&outcome) && outcome.reason().contains("no such argument"), "{hidden}: {outcome:?}");
        assert!(!run_with(same::<Order>(), hidden, ArgumentPolicy::Strict).await.is_ok());
    }
    assert!(refused(&run(same::<Order>(), json!({"count": 1, "n": 200})).await), "an alias beside the field");
    let wrapped = run(same::<Vec<Item>>(), json!({"value": [{"price": 5000}]})).await;
    assert!(refused(&wrapped) && wrapped.reason().contains("/value/0/price"), "{wrapped:?}");
    let ignored = json!({"count": 2, "items": [{"euros": 1, "colour": "red"}], "note": {"n": 200}});
    assert!(run(same::<Order>(), ignored.clone()).await.is_ok(), "what the type ignores does no harm");
    let strict = run_with(same::<Order>(), ignored, ArgumentPolicy::Strict).await;
    assert!(refused(&strict) && strict.reason().contains("/items/0/colour"), "{strict:?}");
}

#[tokio::test]
async fn an_open_type_takes_further_members() {
    let given = json!({"euros": 3, "left": 1, "right": 2});
    assert_eq!(run(same::<Flat>(), given.clone()).await.value(), Some(&given));
    let map = json!({"a": 1, "b": 2});
    assert_eq!(run(same::<std::collections::BTreeMap<String, u8>>(), map.clone()).await.value(), Some(&map));
    let any = json!({"a": [1, {"b": null}]});
    assert_eq!(run(same::<serde_json::Map<String, Value>>(), any.clone()).await.value(), Some(&any));
}

#[derive(Debug)]
struct Written(ToolSpec);

#[async_trait]
impl Tool for Written {
    fn spec(&self) -> &ToolSpec {
        &self.0
    }

    async fn call(&self, arguments: Value) -> Result<Value, ToolError> {
        Ok(arguments)
    }
}

fn written(parameters: Value) -> Written {
    Written(ToolSpec::new("written", "", parameters))
}

#[tokio::test]
async fn a_union_at_the_root_is_checked() {
    let by =
        |key: &str| json!({ "type": "object", "properties": { key: { "type": "integer", "maximum": 9 } }, "required": [key] });
    for union in ["anyOf", "oneOf"] {
        let schema = json!({ "type": "object", union: [by("id"), by("number")] });
        assert_eq!(run(written(schema.clone()), json!({"id": 3})).await.value(), Some(&json!({"id": 3})), "{union}");
        for wrong in [json!({"id": 300}), json!({}), json!({"id": "DROP TABLE"})] {
            assert!(refused(&run(written(schema.clone()), wrong.clone()).await), "{union} {wrong}");
        }
        let unknown = run_with(written(schema), json!({"id": 3, "more": 1}), ArgumentPolicy::Strict).await;
        assert!(refused(&unknown), "{unknown:?}");
    }
    let all = json!({ "type": "object", "allOf": [by("id"), by("number")] });
    assert!(run(written(all.clone()), json!({"id": 3, "number": 4})).await.is_ok());
    assert!(refused(&run(written(all), json!({"id": 3, "number": 400})).await));
}

#[tokio::test]
async fn what_cannot_be_checked_is_said_and_denied_when_strict() {
    // A reference out of the schema is beyond every checker.
    let schema = json!({ "type": "object", "properties": { "amount": { "$ref": "https://example.com/amount" } } });
    let tools = Tools::new().with(written(schema.clone())).with(add());
    assert_eq!(tools.unchecked("add"), [""; 0]);
    assert_eq!(tools.unchecked("written").len(), 1);
    assert!(tools.unchecked("written")[0].contains("$ref"), "{:?}", tools.unchecked("written"));
    let denied = run_with(written(schema), json!({"amount": "1; DROP TABLE"}), ArgumentPolicy::Strict).await;
    assert!(matches!(denied, ToolOutcome::Denied { .. }), "{denied:?}");
    assert!(denied.reason().contains("cannot be checked in full") && denied.reason().contains("$ref"));
}
