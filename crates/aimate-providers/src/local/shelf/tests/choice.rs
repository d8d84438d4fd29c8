//! Which model is used, and what becomes of it when one is removed.

use super::*;

#[test]
fn models_are_used_chosen_and_removed() {
    let place = Place::new();
    let shelf = place.shelf();
    assert_eq!((shelf.list().unwrap(), shelf.used(ModelPurpose::Embedding).unwrap()), (vec![], None));
    let source = place.model("one");
    assert_eq!(shelf.add(&source, None).unwrap(), "one");
    assert_eq!(shelf.used(ModelPurpose::Embedding).unwrap().unwrap().name, "one", "the only one");
    assert_eq!(shelf.add(&source, None).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(shelf.add(&source, Some("ONE")).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(shelf.add(&source, Some("two")).unwrap(), "two");
    assert_eq!(shelf.used(ModelPurpose::Embedding).unwrap().unwrap().name, "one", "it was the first");
    shelf.choose("two").unwrap();
    assert_eq!(shelf.used(ModelPurpose::Embedding).unwrap().unwrap().name, "two");
    assert_eq!(shelf.choose("three").unwrap_err().kind(), ErrorKind::NotFound);
    shelf.choose_none(ModelPurpose::Embedding).unwrap();
    assert_eq!(shelf.used(ModelPurpose::Embedding).unwrap(), None);
    shelf.choose("two").unwrap();
    fs::rename(place.0.join("models/two"), place.0.join("models/three")).unwrap();
    assert_eq!(shelf.used(ModelPurpose::Embedding).unwrap_err().kind(), ErrorKind::NotFound);
    fs::rename(place.0.join("models/three"), place.0.join("models/two")).unwrap();
    shelf.remove("two").unwrap();
    assert_eq!(shelf.used(ModelPurpose::Embedding).unwrap().unwrap().name, "one");
    assert_eq!(shelf.remove("two").unwrap_err().kind(), ErrorKind::NotFound);
    for name in ["", ".", "..", "../one", "a/b", "none", "Local", ".used", "a b", "é"] {
        assert_eq!(shelf.add(&source, Some(name)).unwrap_err().kind(), ErrorKind::Invalid, "{name}");
        assert_eq!(shelf.remove(name).unwrap_err().kind(), ErrorKind::NotFound, "{name}");
    }
    assert!(source.is_dir());
}

#[test]
fn what_was_fetched_in_part_is_removed() {
    let place = Place::new();
    let part = place.put("models/.potion-base-8M.part/config.json", b"{}");
    place.shelf().remove("potion-base-8m").unwrap();
    assert!(!part.exists());
    assert_eq!(place.shelf().remove("potion-base-8M").unwrap_err().kind(), ErrorKind::NotFound);
    // But not while somebody fetches it.
    let part = place.put("models/.potion-base-8M.part/config.json", b"{}");
    let _lock = Lock::new(&place.0.join("models"), "potion-base-8M").unwrap();
    assert_eq!(place.shelf().remove("potion-base-8m").unwrap_err().kind(), ErrorKind::Conflict);
    assert!(part.exists());
}

#[test]
fn folder_that_cannot_be_read_counts_for_nothing_until_it_is_chosen() {
    let place = Place::new();
    let shelf = place.shelf();
    let used = || shelf.used(ModelPurpose::Embedding).unwrap().map(|model| model.name);
    // Put there by hand, and so chosen by nobody.
    place.model("models/one");
    place.put("models/tmp/notes.txt", b"");
    assert_eq!(used().as_deref(), Some("one"));
    assert_eq!(shelf.add(&place.model("two"), None).unwrap(), "two");
    assert_eq!(used().as_deref(), Some("one"), "another one takes nothing over");
    assert_eq!(shelf.choose("tmp").unwrap_err().kind(), ErrorKind::Invalid);
    shelf.choose("two").unwrap();
    for damaged in ["{", r#"{"model_type": "gpt2"}"#] {
        place.put("models/two/config.json", damaged);
        let two = shelf.used(ModelPurpose::Embedding).unwrap().unwrap();
        assert_eq!((two.name.as_str(), two.purpose), ("two", None), "whoever loads it is told why not");
    }
    assert_eq!(shelf.used(ModelPurpose::Reranking).unwrap(), None);
}

#[test]
fn model_is_chosen_when_it_is_loaded() {
    let place = Place::new();
    let shelf = place.shelf();
    shelf.add(&place.model("one"), None).unwrap();
    shelf.add(&place.model("two"), None).unwrap();
    place.put("models/two/model.safetensors", b"short");
    assert_eq!(shelf.choose("two").unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(shelf.used(ModelPurpose::Embedding).unwrap().unwrap().name, "one");
}

#[test]
fn removal_clears_the_choice_whatever_is_left() {
    let place = Place::new();
    let shelf = place.shelf();
    let left = place.put("models/.judge.removed/config.json", b"{}");
    // A reranker of which not even the purpose can be read any more.
    place.put("models/judge/config.json", b"{");
    let chosen = place.put("models/.used-reranker", b"judge");
    shelf.remove("judge").unwrap();
    assert!(!chosen.exists() && !left.exists() && !place.0.join("models/judge").exists());
    // One that somebody else removed.
    let chosen = place.put("models/.used", b"gone");
    shelf.remove("Gone").unwrap();
    assert!(!chosen.exists());
    assert_eq!(shelf.remove("gone").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn reranker_is_used_beside_an_embedder() {
    let place = Place::new();
    let shelf = place.shelf();
    shelf.add(&place.model("one"), None).unwrap();
    // What a cross-encoder says of itself is enough to be told from the others.
    let config = json!({"model_type": "bert", "architectures": ["BertForSequenceClassification"],
        "hidden_act": "gelu", "hidden_size": 2, "intermediate_size": 2, "num_attention_heads": 1, "num_hidden_layers": 1});
    place.put("models/judge/config.json", config.to_string());
    let used = |purpose| shelf.used(purpose).unwrap().map(|model| model.name);
    assert_eq!(used(ModelPurpose::Embedding).as_deref(), Some("one"));
    assert_eq!(used(ModelPurpose::Reranking).as_deref(), Some("judge"));
    shelf.choose_none(ModelPurpose::Reranking).unwrap();
    assert_eq!(
        (used(ModelPurpose::Embedding).as_deref(), used(ModelPurpose::Reranking)),
        (Some("one"), None)
    );
    assert!(shelf.choose("judge").is_err(), "it cannot be run");
    assert_eq!(used(ModelPurpose::Reranking), None);
    let chosen = place.put("models/.used-reranker", "judge");
    assert_eq!(used(ModelPurpose::Reranking).as_deref(), Some("judge"));
    shelf.remove("judge").unwrap();
    assert_eq!(used(ModelPurpose::Reranking), None);
    assert!(!chosen.exists());
    // It is loaded as what it is before it is placed.
    place.model("half");
    place.put("half/config.json", config.to_string());
    let error = shelf.add(&place.0.join("half"), None).unwrap_err();
    assert!(error.to_string().contains("post_processor"), "{error}");
}
