//! `textDocument/signatureHelp`: the call whose arguments are being written.

use std::sync::Arc;

use fovea_api::{Answer, Method};
use tower_lsp_server::{
    jsonrpc::Result,
    ls_types::{
        Documentation, ParameterInformation, ParameterLabel, SignatureHelp, SignatureHelpParams,
        SignatureInformation,
    },
};

use crate::{server::Shared, session::Feature};

pub(crate) async fn signature_help(
    shared: &Arc<Shared>,
    params: SignatureHelpParams,
) -> Result<Option<SignatureHelp>> {
    let cursor = &params.text_document_position_params;
    let Some((root, at)) = shared.cursor(Feature::SignatureHelp, cursor) else { return Ok(None) };
    let Some(Answer::Signature(Some(call))) = shared.ask(root, Method::Signature { at }).await?
    else {
        return Ok(None);
    };
    // A last parameter that takes any number stays the active one.
    let last = call.parameters.len().saturating_sub(1) as u32;
    let takes_rest = call.parameters.last().is_some_and(|p| p.starts_with(['*', '.']));
    let active = if takes_rest { call.active.min(last) } else { call.active };
    let parameters = call.parameters.into_iter().map(|parameter| ParameterInformation {
        label: ParameterLabel::Simple(parameter),
        documentation: None,
    });
    let signature = SignatureInformation {
        label: call.symbol.signature,
        documentation: call.symbol.doc.map(|doc| Documentation::String(fovea_api::clean(&doc))),
        parameters: Some(parameters.collect()),
        active_parameter: Some(active),
    };
    Ok(Some(SignatureHelp {
        signatures: vec![signature],
        active_signature: Some(0),
        active_parameter: Some(active),
    }))
}
