//! JSON as Python objects, and Python objects as JSON.

use std::fmt;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep an object that is handed in may be nested.
const MAX_DEPTH: usize = 128;

/// JSON as an object of dicts, lists, strings and so on.
///
/// # Errors
/// `ValueError` if it is no JSON.
pub(crate) fn object<'py>(py: Python<'py>, json: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let object = ToPython(py).deserialize(&mut deserializer).map_err(not_json)?;
    deserializer.end().map_err(not_json)?;
    Ok(object)
}

/// A value as an object.
///
/// # Errors
/// What Python says.
pub(crate) fn object_of<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    ToPython(py).deserialize(value).map_err(not_json)
}

fn not_json(error: impl fmt::Display) -> PyErr {
    PyValueError::new_err(format!("this is no JSON: {error}"))
}

/// Makes Python objects while JSON is read, without a tree between.
#[derive(Clone, Copy)]
struct ToPython<'py>(Python<'py>);

impl<'de, 'py> DeserializeSeed<'de> for ToPython<'py> {
    type Value = Bound<'py, PyAny>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, 'py> Visitor<'de> for ToPython<'py> {
    type Value = Bound<'py, PyAny>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.0.None().into_bound(self.0))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(PyBool::new(self.0, value).to_owned().into_any())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(value.into_pyobject(self.0).map_err(E::custom)?.into_any())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(value.into_pyobject(self.0).map_err(E::custom)?.into_any())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(PyFloat::new(self.0, value).into_any())
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(PyString::new(self.0, value).into_any())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let list = PyList::empty(self.0);
        while let Some(item) = items.next_element_seed(self)? {
            list.append(item).map_err(A::Error::custom)?;
        }
        Ok(list.into_any())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let dict = PyDict::new(self.0);
        while let Some(key) = fields.next_key_seed(Key(self.0))? {
            let value = fields.next_value_seed(self)?;
            dict.set_item(key, value).map_err(A::Error::custom)?;
        }
        Ok(dict.into_any())
    }
}

/// A key, which Python keeps one copy of: the same few come in every event.
struct Key<'py>(Python<'py>);

impl<'de, 'py> DeserializeSeed<'de> for Key<'py> {
    type Value = Bound<'py, PyString>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'py> Visitor<'_> for Key<'py> {
    type Value = Bound<'py, PyString>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        // What is long is data of an application, which is not worth keeping.
        Ok(if key.len() <= 32 { PyString::intern(self.0, key) } else { PyString::new(self.0, key) })
    }
}

/// An object as JSON: `None`, bools, numbers, strings, lists, tuples, dicts, and what
/// `aimate._plain` knows to make into these. `name` is the argument, for errors.
///
/// # Errors
/// `TypeError` for what is no JSON, `ValueError` for a number that is not finite or a
/// string that is no text, naming the place.
pub(crate) fn value(object: &Bound<'_, PyAny>, name: &str) -> PyResult<Value> {
    Place { name, outer: None, depth: 0 }.value(object)
}

/// Where within an argument.
struct Place<'a> {
    name: &'a str,
    outer: Option<&'a Place<'a>>,
    depth: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(outer) = self.outer else { return f.write_str(self.name) };
        write!(f, "{outer}")?;
        if self.name.starts_with('[') { f.write_str(self.name) } else { write!(f, ".{}", self.name) }
    }
}

impl Place<'_> {
    fn within<'b>(&'b self, name: &'b str) -> Place<'b> {
        Place { name, outer: Some(self), depth: self.depth + 1 }
    }

    fn value(&self, object: &Bound<'_, PyAny>) -> PyResult<Value> {
        if self.depth > MAX_DEPTH {
            return Err(PyValueError::new_err(format!(
                "{}: is nested deeper than {MAX_DEPTH} levels",
                self.root()
            )));
        }
        if object.is_none() {
            return Ok(Value::Null);
        }
        if let Ok(text) = object.cast::<PyString>() {
            let text = text
                .to_str()
                .map_err(|_| PyValueError::new_err(format!("{self}: is no text: it has a lone surrogate")))?;
            return Ok(Value::String(text.to_owned()));
        }
        // Before int, of which bool is one.
        if let Ok(flag) = object.cast::<PyBool>() {
            return Ok(Value::Bool(flag.is_true()));
        }
        if object.is_instance_of::<PyInt>() {
            let number = object
                .extract::<i64>()
                .map(Number::from)
                .or_else(|_| object.extract::<u64>().map(Number::from));
            return number
                .map(Value::Number)
                .map_err(|_| PyValueError::new_err(format!("{self}: is a number of more than 64 bits")));
        }
        if let Ok(number) = object.cast::<PyFloat>() {
            let number = Number::from_f64(number.value());
            return number.map(Value::Number).ok_or_else(|| {
                PyValueError::new_err(format!("{self}: is {object}; it must be a finite number"))
            });
        }
        if let Ok(dict) = object.cast::<PyDict>() {
            return self.dict(dict);
        }
        if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
            let mut items = Vec::with_capacity(object.len()?);
            for (n, item) in object.try_iter()?.enumerate() {
                items.push(self.within(&format!("[{n}]")).value(&item?)?);
            }
            return Ok(Value::Array(items));
        }
        let plain = object.py().import("aimate._plain")?.call_method1("plain", (object, self.to_string()))?;
        // Deeper, so that what is made plain again and again comes to an end.
        Place { depth: self.depth + 1, ..*self }.value(&plain)
    }

    fn dict(&self, dict: &Bound<'_, PyDict>) -> PyResult<Value> {
        let mut fields = Map::with_capacity(dict.len());
        for (key, value) in dict {
            let key = key
                .cast::<PyString>()
                .map_err(|_| PyTypeError::new_err(format!("{self}: has a key that is no string: {key}")))?;
            let key = key.to_str()?;
            fields.insert(key.to_owned(), self.within(key).value(&value)?);
        }
        Ok(Value::Object(fields))
    }

    fn root(&self) -> &str {
        self.outer.map_or(self.name, Place::root)
    }
}
