//! Forms: parameters in the body.

use crate::message::{Method, Params, Request};
use crate::wire::{multipart, target};

/// Reads the body of `request` as a form if its content type says so, and adds its parameters to
/// those of the URL: a plain form's in front of them, a multipart form's behind them, as Go does.
/// Any other body, and that of a method without one, is left unchanged.
///
/// # Errors
/// What is wrong with the form.
pub fn merge(request: &mut Request) -> Result<(), String> {
    if request.body.is_empty() {
        return Ok(());
    }
    let mut form = Params::default();
    match kind_of(request) {
        Some(Form::Plain) => {
            target::read_params(&request.body, &mut form).map_err(|e| e.to_string())?;
            request.query.prepend(form);
        }
        Some(Form::Parts(content_type)) => {
            multipart::read_params(content_type, &request.body, &mut form)
                .map_err(|e| e.to_string())?;
            request.query.append(form);
        }
        None => {}
    }
    Ok(())
}

/// Which kind of form the body is.
fn kind_of(request: &Request) -> Option<Form<'_>> {
    if !matches!(request.method, Method::Post | Method::Put | Method::Patch) {
        return None;
    }
    let content_type = request.headers.get("content-type")?;
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Some(Form::Plain)
    } else if kind.eq_ignore_ascii_case("multipart/form-data") {
        Some(Form::Parts(content_type))
    } else {
        None
    }
}

/// Explains why parameters in the body are not seen, if there is a body that is not read as a form.
#[must_use]
pub fn unread(request: &Request) -> Option<String> {
    let is_unread = !request.body.is_empty() && kind_of(request).is_none();
    is_unread.then(|| {
        let given = request.headers.filled("content-type").unwrap_or("not given");
        let given: String = given.chars().take(80).collect();
        format!(
            "the body is not read: its Content-Type is {given}, and parameters come as \
             application/x-www-form-urlencoded or multipart/form-data"
        )
    })
}

/// How a body holds parameters.
enum Form<'a> {
    /// `a=b&c=d`.
    Plain,
    /// Multipart; the content type names the boundary.
    Parts(&'a str),
}

#[cfg(test)]
mod tests;
