//! An Ingress that names no class gets the default one.
//!
//! Upstream: `plugin/pkg/admission/network/defaultingressclass/admission.go`.

use async_trait::async_trait;
use k8s_openapi::api::networking::v1::Ingress;

use super::{Lookup, Operation, Plugin, Refusal, Request};

/// How an Ingress named its class before there was a field for it.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

pub(super) struct DefaultIngressClass;

#[async_trait]
impl Plugin for DefaultIngressClass {
    fn name(&self) -> &'static str {
        "DefaultIngressClass"
    }

    async fn mutate(&self, request: &mut Request<'_>, lookup: &dyn Lookup) -> Result<(), Refusal> {
        let is_new = request.operation == Operation::Create && request.subresource.is_empty();
        if !is_new || (request.group, request.resource) != ("networking.k8s.io", "ingresses") {
            return Ok(());
        }
        let object = request.object.as_deref_mut();
        let Some(ingress) = object.and_then(|object| object.downcast_mut::<Ingress>()) else {
            return Ok(());
        };
        let annotations = ingress.metadata.annotations.as_ref();
        let spec = ingress.spec.get_or_insert_default();
        if spec.ingress_class_name.is_none()
            && !annotations.is_some_and(|all| all.contains_key(CLASS_ANNOTATION))
        {
            spec.ingress_class_name = lookup.default_ingress_class().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::Store;
    use super::*;

    async fn class_of(meta: Value, spec: Value, operation: Operation) -> Option<String> {
        let mut ingress: Ingress =
            serde_json::from_value(json!({"metadata": meta, "spec": spec})).unwrap();
        let mut request = Request {
            operation,
            group: "networking.k8s.io",
            resource: "ingresses",
            subresource: "",
            namespace: "default",
            name: "i",
            object: Some(&mut ingress),
            old: None,
        };
        DefaultIngressClass.mutate(&mut request, &Store).await.unwrap();
        ingress.spec.unwrap().ingress_class_name
    }

    #[tokio::test]
    async fn only_who_names_none_gets_the_default() {
        let named = |name: &str| Some(name.to_owned());
        let create = Operation::Create;
        assert_eq!(class_of(json!({}), json!({}), create).await, named("sampan"));
        let other = json!({"ingressClassName": "other"});
        assert_eq!(class_of(json!({}), other, create).await, named("other"));
        let old = json!({"annotations": {CLASS_ANNOTATION: "nginx"}});
        assert_eq!(class_of(old, json!({}), create).await, None);
        assert_eq!(class_of(json!({}), json!({}), Operation::Update).await, None);
    }
}
