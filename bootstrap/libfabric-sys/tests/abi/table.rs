//! What the Rust side believes, as lines for abi.c.

use std::fmt::Write;
use std::mem::offset_of;

use libfabric_sys::*;

/// A structure's size and the place and width of fields, behind the version of the headers that have them.
macro_rules! layout {
    ($text:ident, $size:ident $name:ident { $($field:ident $(as $c:ident)? $(since $version:literal)?),* $(,)? }) => {
        line(&mut $text, concat!(stringify!($size), "(", stringify!($name)), size_of::<$name>());
        $(
            let c = [stringify!($field) $(, stringify!($c))?];
            let c = c[c.len() - 1];
            let since: &[&str] = &[$(stringify!($version))?];
            begin(&mut $text, since);
            line(&mut $text, &format!("FIELD({}, {c}", stringify!($name)), offset_of!($name, $field));
            line(&mut $text, &format!("WIDTH({}, {c}", stringify!($name)), width(|it: &$name| &raw const it.$field));
            end(&mut $text, since);
        )*
    };
}

/// Constants, behind the version of the headers that have them.
macro_rules! values {
    ($text:ident, [$(since $version:literal)?] $($name:ident),* $(,)?) => {
        let since: &[&str] = &[$(stringify!($version))?];
        begin(&mut $text, since);
        $( writeln!($text, "VALUE({}, {:#x}ULL);", stringify!($name), bits($name)).unwrap(); )*
        end(&mut $text, since);
    };
}

fn begin(text: &mut String, since: &[&str]) {
    for version in since {
        writeln!(text, "#if SINCE({})", version.replace('.', ", ")).unwrap();
    }
}

fn end(text: &mut String, since: &[&str]) {
    for _ in since {
        text.push_str("#endif\n");
    }
}

/// A constant as 64 bits, its sign kept.
fn bits(value: impl TryInto<i128>) -> u64 {
    let value: i128 = value.try_into().unwrap_or_else(|_| panic!("a constant of at most 64 bits"));
    u64::try_from(value & i128::from(u64::MAX)).unwrap()
}

fn line(text: &mut String, head: &str, number: usize) {
    writeln!(text, "{head}, {number});").unwrap();
}

fn width<T, F>(_field: impl Fn(&T) -> *const F) -> usize {
    size_of::<F>()
}

/// Every structure, field and constant.
pub(crate) fn table() -> String {
    let mut text = String::new();
    information(&mut text);
    objects(&mut text);
    attributes(&mut text);
    constants(&mut text);
    text
}

fn information(out: &mut String) {
    let mut text = String::new();
    layout!(text, EXACT_SIZE fi_info { next, caps, mode, addr_format, src_addrlen, dest_addrlen, src_addr, dest_addr,
        handle, tx_attr, rx_attr, ep_attr, domain_attr, fabric_attr, nic });
    layout!(text, EXACT_SIZE fi_tx_attr { caps, mode, op_flags, msg_order, comp_order, inject_size, size, iov_limit,
        rma_iov_limit, tclass });
    layout!(text, EXACT_SIZE fi_rx_attr { caps, mode, op_flags, msg_order, comp_order, total_buffered_recv, size,
        iov_limit });
    layout!(text, SIZE fi_ep_attr { type_ as type, protocol, protocol_version, max_msg_size, msg_prefix_size,
        max_order_raw_size, max_order_war_size, max_order_waw_size, mem_tag_format, tx_ctx_cnt, rx_ctx_cnt,
        auth_key_size, auth_key });
    layout!(text, SIZE fi_domain_attr { domain, name, threading, control_progress, data_progress, resource_mgmt,
        av_type, mr_mode, mr_key_size, cq_data_size, cq_cnt, ep_cnt, tx_ctx_cnt, rx_ctx_cnt, max_ep_tx_ctx,
        max_ep_rx_ctx, max_ep_stx_ctx, max_ep_srx_ctx, cntr_cnt, mr_iov_limit, caps, mode, auth_key, auth_key_size,
        max_err_data, mr_cnt, tclass, max_ep_auth_key since 1.20, max_group_id since 2.0,
        max_cntr_value since 2.5, max_err_cntr_value since 2.5 });
    layout!(text, EXACT_SIZE fi_fabric_attr { fabric, name, prov_name, prov_version, api_version });
    layout!(text, EXACT_SIZE fi_device_attr { name, device_id, device_version, vendor_id, driver, firmware });
    layout!(text, EXACT_SIZE fi_link_attr { address, mtu, speed, state, network_type });
    // The headers of the newest layout have no version of their own yet.
    text.push_str("#ifdef FI_XPU\n");
    layout!(text, EXACT_SIZE fi_ep_attr { xpu_ctx });
    layout!(text, EXACT_SIZE fi_domain_attr { max_xpu_ctx_cnt });
    layout!(text, EXACT_SIZE fi_cq_attr { xpu_ctx });
    text.push_str("#endif\n");
    out.push_str(&text);
}

fn objects(out: &mut String) {
    let mut text = String::new();
    layout!(text, EXACT_SIZE fid { fclass, context, ops });
    layout!(text, EXACT_SIZE fid_fabric { fid, ops, api_version });
    layout!(text, EXACT_SIZE fid_domain { fid, ops, mr });
    layout!(text, EXACT_SIZE fid_mr { fid, mem_desc, key });
    layout!(text, EXACT_SIZE fid_av { fid, ops });
    layout!(text, EXACT_SIZE fid_cq { fid, ops });
    layout!(text, EXACT_SIZE fid_ep { fid, ops, cm, msg, rma, tagged, atomic, collective });
    layout!(text, EXACT_SIZE fid_nic { fid, device_attr, bus_attr, link_attr, prov_attr });
    layout!(text, EXACT_SIZE fi_context { internal });
    layout!(text, EXACT_SIZE fi_context2 { internal });
    layout!(text, EXACT_SIZE fi_ops { size, close, bind, control, ops_open, tostr, ops_set });
    layout!(text, EXACT_SIZE fi_ops_fabric { size, domain, passive_ep, eq_open, wait_open, trywait, domain2 });
    layout!(text, EXACT_SIZE fi_ops_mr { size, reg, regv, regattr });
    layout!(text, EXACT_SIZE fi_ops_rma { size, read, readv, readmsg, write, writev, writemsg, inject, writedata,
        injectdata });
    layout!(text, EXACT_SIZE fi_ops_msg { size, recv, recvv, recvmsg, send, sendv, sendmsg, inject, senddata,
        injectdata });
    let mut fields = String::new();
    layout!(fields, SIZE fi_ops_domain { size, av_open, cq_open, endpoint, scalable_ep, cntr_open, poll_open, stx_ctx,
        srx_ctx, query_atomic, query_collective, endpoint2 });
    layout!(fields, SIZE fi_ops_av { size, insert, insertsvc, insertsym, remove, lookup, straddr });
    layout!(fields, SIZE fi_ops_cq { size, read, readfrom, readerr, sread, sreadfrom, signal, strerror });
    layout!(fields, SIZE fi_ops_ep { size, cancel, getopt, setopt, tx_ctx, rx_ctx, rx_size_left, tx_size_left });
    layout!(fields, SIZE fi_ops_cm { size, setname, getname });
    // The library makes these tables; ours end with the last call that may be made.
    text.extend(fields.lines().filter(|line| !line.starts_with("SIZE")).flat_map(|line| [line, "\n"]));
    out.push_str(&text);
}

fn attributes(out: &mut String) {
    let mut text = String::new();
    layout!(text, EXACT_SIZE fi_av_attr { type_ as type, rx_ctx_bits, count, ep_per_node, name, map_addr, flags });
    layout!(text, SIZE fi_cq_attr { size, flags, format, wait_obj, signaling_vector, wait_cond, wait_set });
    layout!(text, SIZE fi_mr_attr { mr_iov, iov_count, access, offset, requested_key, context, auth_key_size,
        auth_key, iface, device, hmem_data since 1.19, page_size since 1.22, base_mr since 2.0, sub_mr_cnt since 2.0 });
    text.push_str("#if SINCE(1, 20)\n");
    layout!(text, EXACT_SIZE fi_mr_dmabuf { fd, offset, len, base_addr });
    text.push_str("#endif\n");
    layout!(text, EXACT_SIZE fi_cq_data_entry { op_context, flags, len, buf, data });
    layout!(text, SIZE fi_cq_err_entry { op_context, flags, len, buf, data, tag, olen, err, prov_errno, err_data,
        err_data_size, src_addr since 1.20 });
    layout!(text, EXACT_SIZE fi_rma_iov { addr, len, key });
    layout!(text, EXACT_SIZE fi_msg_rma { msg_iov, desc, iov_count, addr, rma_iov, rma_iov_count, context, data });
    out.push_str(&text);
}

#[rustfmt::skip] // One constant a line would be a page of them.
fn constants(out: &mut String) {
    let mut text = String::new();
    values!(text, [] FI_ADDR_UNSPEC, FI_KEY_NOTAVAIL, FI_MSG, FI_RMA, FI_TAGGED, FI_ATOMIC, FI_READ, FI_WRITE, FI_RECV,
        FI_SEND, FI_TRANSMIT, FI_REMOTE_READ, FI_REMOTE_WRITE, FI_REMOTE_CQ_DATA, FI_MORE, FI_COMPLETION, FI_INJECT,
        FI_DELIVERY_COMPLETE, FI_HMEM, FI_LOCAL_COMM, FI_REMOTE_COMM, FI_SOURCE, FI_CONTEXT, FI_CONTEXT2,
        FI_RX_CQ_DATA, FI_MR_LOCAL, FI_MR_VIRT_ADDR, FI_MR_ALLOCATED, FI_MR_PROV_KEY, FI_MR_ENDPOINT, FI_MR_HMEM,
        FI_EP_MSG, FI_EP_DGRAM, FI_EP_RDM, FI_PROGRESS_MANUAL, FI_AV_TABLE, FI_THREAD_DOMAIN, FI_THREAD_COMPLETION, FI_SOCKADDR_IN, FI_SOCKADDR_IN6,
        FI_CQ_FORMAT_DATA, FI_WAIT_NONE, FI_WAIT_UNSPEC, FI_WAIT_FD, FI_GETWAIT, FI_ENABLE, FI_HMEM_SYSTEM,
        FI_HMEM_CUDA, FI_OPT_ENDPOINT, FI_OPT_EFA_RNR_RETRY, FI_EAGAIN, FI_EINTR, FI_ENODATA, FI_ENOSYS,
        FI_ENOPROTOOPT, FI_EOPNOTSUPP, FI_EAVAIL);
    values!(text, [since 1.18] FI_OPT_CUDA_API_PERMITTED, FI_OPT_EFA_EMULATED_READ, FI_OPT_EFA_EMULATED_WRITE,
        FI_OPT_EFA_USE_DEVICE_RDMA);
    values!(text, [since 1.20] FI_MR_DMABUF);
    values!(text, [since 1.21] FI_OPT_SHARED_MEMORY_PERMITTED);
    values!(text, [since 1.22] FI_OPT_MAX_MSG_SIZE, FI_OPT_MAX_RMA_SIZE);
    values!(text, [since 2.2] FI_OPT_EFA_HOMOGENEOUS_PEERS);
    values!(text, [since 2.5] FI_OPT_EFA_USE_UNSOLICITED_WRITE_RECV);
    text.push_str("#ifdef FI_EFA_WR_HIGH_PPS\n");
    values!(text, [] FI_EFA_WR_HIGH_PPS);
    text.push_str("#endif\n");
    out.push_str(&text);
}
