//! stub
pub mod home { pub async fn choose_language() {} pub async fn show() {} }
pub mod scan { pub async fn show() {} pub async fn save() {} }
pub mod quick { pub async fn show() {} pub async fn save() {} }
pub mod saved { pub async fn show() {} }
pub mod outbox { pub async fn show() {} pub async fn send_now() {} }
pub mod statics { pub async fn show() {} }
