//! One suite for every adapter of the storage ports: what their documentation
//! promises, as cases that run on any of them.
//!
//! An adapter writes one function that makes an empty store and runs a case on
//! it, and gets each case as a test of its own:
//!
//! ```ignore
//! async fn in_memory(case: impl AsyncFn(&Stores)) {
//!     let store = my_store::open().await;
//!     case(&store.stores()).await;
//! }
//!
//! aimate_core::conformance_tests!(in_memory);
//! ```
//!
//! The store of a case is empty and nobody else uses it: workers see the runs of
//! all tenants.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "these are tests; the name of a case is its rule"
)]

pub mod api_token;
pub mod audit;
pub mod budget;
pub mod connection;
pub mod conversation;
pub mod conversation_search;
pub mod deletion;
pub mod file;
pub mod group;
pub mod hidden_conversation;
pub mod identity;
pub mod invite;
pub mod knowledge_attachment;
pub mod knowledge_blob;
pub mod knowledge_collection;
pub mod knowledge_document;
pub mod knowledge_filter;
pub mod knowledge_index;
pub mod knowledge_ingest;
pub mod knowledge_maintenance;
pub mod knowledge_queue;
pub mod knowledge_quota;
pub mod knowledge_space;
pub mod knowledge_world;
pub mod login;
pub mod message;
pub mod message_change;
pub mod model;
pub mod parked_run;
pub mod price;
pub mod prompt;
pub mod rate_limit;
pub mod run;
pub mod secret;
pub mod session;
pub mod share;
pub mod shared_workspace;
pub mod tenant;
pub mod tool_grant;
pub mod tool_output;
pub mod tool_server;
pub mod upload;
pub mod usage;
pub mod user;
pub mod worker;
pub mod workspace;
pub mod world;

/// Runs every case as a `#[tokio::test]`, in a module for each noun, through
/// `$with`: an `async fn(impl AsyncFn(&Stores))`.
#[macro_export]
macro_rules! conformance_tests {
    ($with:ident) => {
        mod knowledge_blob {
            #[allow(unused_imports, reason = "brings in the function that makes stores")]
            use super::*;

            async fn with_blobs(case: impl AsyncFn(&dyn $crate::knowledge::BlobStore)) {
                $with(async |stores: &$crate::Stores| case(stores.blobs.as_ref()).await).await;
            }

            $crate::blob_conformance_tests!(with_blobs);
        }

        $crate::conformance_tests! { @each $with
            user {
                created_user_is_found
                taken_id_or_address_conflicts
                absent_user_is_not_found
                other_tenant_sees_no_user
                users_are_listed_oldest_first
                update_changes_what_is_given
                deleted_user_takes_all_they_own
                ensured_user_is_there
                ensuring_again_changes_what_is_given
                parallel_calls_ensure_one_user
                standing_tells_who_may_act
                disabled_user_is_to_stop
            }
            tenant {
                first_user_makes_their_tenant
                tenants_are_listed_by_id
                update_changes_what_is_given
                absent_tenant_is_not_found
                users_of_a_disabled_tenant_are_to_stop
            }
            deletion {
                deleted_user_leaves_nothing
                deleted_tenant_leaves_nothing
                what_is_being_deleted_takes_no_new_work
                large_conversation_goes_in_small_steps
                key_starts_afresh_after_its_deletion
                deletion_of_a_dead_worker_is_taken_over
                absent_target_is_not_found
                receipts_are_cleared
            }
            audit {
                records_are_numbered_and_chained
                appends_at_the_same_moment_make_one_chain
                records_are_listed_newest_first
                filter_narrows_the_list_down
                other_tenant_sees_no_record
                absent_tenant_has_no_log
                deleted_user_leaves_the_chain_whole
            }
            identity {
                linked_identity_is_found
                identity_has_one_user
                account_comes_with_its_identity
                identity_goes_with_its_user
            }
            secret {
                secrets_are_counted_by_key
                secrets_are_listed_by_key_and_page
                resealed_secret_is_stored
                secret_that_changed_is_not_resealed
                update_keeps_a_resealed_secret
            }
            session {
                created_session_is_found
                taken_id_conflicts
                user_must_be_there
                others_see_nothing
                sessions_are_listed_newest_first
                expired_and_oldest_sessions_make_room
                renewed_session_has_the_next_token
                reused_token_ends_the_session
                parallel_renewals_give_one_token
                touch_marks_the_use
                deleted_session_is_gone
                all_sessions_but_one_are_ended
            }
            login {
                registered_account_is_found
                taken_address_conflicts_in_any_tenant
                first_account_becomes_admin_and_no_other
                first_account_closes_the_door
                invite_lets_one_in
                nobody_registers_in_a_tenant_that_goes
                login_is_attached_to_a_user_who_is_there
                adopted_account_is_the_other_user
                new_password_ends_other_sessions
                rehash_keeps_a_password_that_changed
                attempts_wait_longer_and_longer
                attempts_at_once_are_no_more_than_allowed
                refused_attempt_counts_nowhere
                old_attempts_are_forgotten
            }
            api_token {
                created_token_is_found_by_its_prefix
                taken_id_conflicts
                user_must_be_there
                others_see_nothing
                tokens_are_listed_newest_first
                too_many_tokens_conflict
                touch_marks_the_use
                deleted_token_is_gone
            }
            invite {
                created_invite_is_listed
                taken_id_or_token_conflicts
                tenant_and_user_must_be_there
                other_tenant_sees_nothing
                expired_invites_make_room
                deleted_invite_is_gone
            }
            workspace {
                created_workspace_is_found
                taken_id_conflicts
                others_see_nothing
                workspaces_are_listed_newest_first
                update_changes_what_is_given
                conversations_are_counted
                deleted_workspace_frees_its_conversations
            }
            shared_workspace {
                viewer_reads_what_belongs_to_it
                viewer_changes_nothing
                editor_writes
                who_made_it_moves_it
                who_is_put_out_sees_nothing
                demoted_asker_is_to_stop
                last_owner_stays
                member_leaves
                outsiders_find_no_workspace
                only_users_of_the_tenant_are_let_in
                what_a_deleted_user_made_stays
                collections_of_one_name_come_back
                deleted_user_is_no_member
            }
            group {
                created_group_is_found
                taken_name_or_id_conflicts
                others_see_nothing
                groups_are_listed_newest_first
                update_changes_what_is_given
                members_come_and_go
                highest_role_counts
                new_member_of_a_group_is_in_its_workspaces
            }
            prompt {
                created_prompt_is_found
                taken_id_conflicts
                foreign_workspace_is_not_found
                others_see_nothing
                prompts_are_listed_oldest_first
                update_changes_what_is_given
                deleted_prompt_is_gone
                shared_prompt_is_read_by_all
            }
            conversation {
                created_conversation_is_found
                taken_id_conflicts
                foreign_workspace_is_not_found
                others_see_nothing
                last_changed_is_listed_first
                paging_survives_equal_times
                filters_are_combined
                titles_are_searched_whatever_the_case
                update_changes_what_is_given
                update_takes_it_out_of_its_workspace
                update_opens_a_branch
                refused_update_changes_nothing
                deleted_conversation_takes_messages_and_runs
            }
            conversation_search {
                titles_and_messages_are_found
                every_script_is_found
                odd_queries_are_only_words
                only_what_is_said_is_found
                answer_is_found_when_it_is_whole
                title_is_found_as_it_is_now
                forks_and_branches_are_found
                deleted_conversation_is_found_no_more
                newest_message_comes_first_and_pages_follow
                filters_narrow_a_search_down
                others_find_nothing
                members_find_what_is_in_a_workspace
                refused_writes_change_no_index
                long_history_is_found_whole
            }
            message {
                appended_messages_are_found
                every_part_reads_back
                nul_is_removed
                append_is_all_or_nothing
                parent_of_another_conversation_is_not_found
                pages_come_newest_first
                page_of_large_messages_is_shorter
                page_of_another_leaf
                newest_leaf_of_a_branch
                siblings_are_the_branches
                empty_conversation_has_an_empty_page
                unknown_leaf_is_not_found
                window_stays_within_its_tokens
                window_stays_within_its_messages
                window_ends_at_the_given_leaf
                window_has_the_active_prompts
                window_of_an_empty_conversation
                fork_copies_the_path
                fork_does_not_copy_a_run
                refused_fork_stores_nothing
            }
            message_change {
                path_begins_with_the_root
                messages_are_found_by_their_ids
                messages_are_added_behind_the_leaf_that_was_read
                removed_message_hands_its_children_on
                removed_end_and_beginning_leave_a_whole_path
                removed_answer_takes_its_run_along
                blanked_part_leaves_the_others_their_places
                others_change_no_message
            }
            hidden_conversation {
                hidden_conversation_is_in_no_list
                hidden_conversation_of_a_workspace_is_not_counted
                hidden_conversation_is_not_found_by_its_words
                request_is_kept_until_it_is_forgotten
                last_request_takes_its_hidden_conversation_along
                hidden_conversation_ends_when_nobody_goes_on_with_it
            }
            share {
                link_shows_what_was_shared
                links_are_listed_newest_first
                link_ends_and_is_cleared
                revoked_link_opens_nothing
                others_share_nothing
                links_of_a_conversation_are_bounded
                editors_share_what_is_in_a_workspace
                link_goes_with_its_conversation
                link_of_who_may_not_act_opens_nothing
                link_goes_with_who_shared_it
            }
            run {
                begun_turn_is_stored
                begun_turn_creates_its_conversation
                answer_is_given_again
                title_is_set_once
                client_id_gives_the_same_run
                parallel_duplicates_store_one_turn
                client_ids_are_of_one_user
                refused_turn_stores_nothing
                taken_ids_conflict
                events_read_back
                retried_turn_takes_over_its_client_id
                checkpoint_again_changes_nothing
                grown_checkpoint_replaces_its_former_self
                finish_stores_the_answer
                finish_counts_the_path
                finish_keeps_the_error
                only_the_owner_writes
                finished_run_is_closed
                others_see_nothing
                unknown_run_is_not_found
                nul_in_an_answer_is_removed
            }
            parked_run {
                parked_run_keeps_what_it_has
                parked_run_goes_on_with_one_worker
                only_the_owner_parks
                others_park_nothing
                waiting_runs_are_nobodys
                answer_to_a_tool_is_taken_once_by_the_worker
                answer_to_a_tool_is_for_a_run_under_way
            }
            tool_output {
                kept_output_is_read_in_pieces
                others_keep_and_read_nothing
                kept_output_goes_with_its_conversation
            }
            worker {
                runs_of_a_left_worker_are_taken
                runs_of_a_late_worker_are_taken
                runs_of_a_live_worker_stay
                each_run_goes_to_one_caller
                at_most_limit_are_taken
                run_that_nobody_holds_is_taken
                finished_runs_stay
                former_owner_is_fenced_off
                abandoned_run_tells_its_scope
                cancel_reaches_the_owner
                cancel_of_a_finished_run_changes_nothing
                runs_of_inactive_users_are_to_stop
                logs_of_finished_runs_are_cleared
                ping_answers
            }
            connection {
                created_connection_is_found
                names_are_unique_by_owner
                others_see_nothing
                shared_connection_is_seen_by_all
                shared_connection_is_changed_by_admins
                connections_are_listed_by_name
                update_replaces_it
                update_of_a_changed_connection_conflicts
                absent_connection_is_not_found
                connection_of_a_workspace_is_used_by_its_editors
                connection_of_a_workspace_is_managed_by_its_owners
                viewers_use_no_connection_of_the_workspace
                deleted_connection_takes_its_models
            }
            tool_server {
                created_server_is_found
                names_are_unique_by_owner
                others_see_nothing
                shared_server_is_seen_by_all_and_changed_by_admins
                servers_are_listed_by_name
                update_replaces_the_settings
                update_of_a_changed_server_conflicts
                absent_server_is_not_found
                servers_of_a_user_are_bounded
                listed_tools_are_found
                first_list_alone_is_approved
                failure_keeps_the_last_good_list
                observation_of_a_changed_server_conflicts
                pins_are_replaced
                moved_server_forgets_all_that_was_approved
                server_of_a_workspace_is_used_by_its_editors
                server_of_a_workspace_is_managed_by_its_owners
                viewers_use_no_server_of_the_workspace
            }
            tool_grant {
                put_grant_is_found
                grants_are_of_one_user
                grants_go_with_their_server
                grant_of_an_unseen_server_is_not_kept
                sealed_tools_are_rotated
            }
            model {
                replaced_list_is_found
                switched_off_model_stays_off
                models_that_are_gone_go
                replacing_marks_the_connection
                models_of_others_are_hidden
                absent_model_is_not_found
            }
            usage {
                calls_are_summed_by_model
                calls_are_summed_by_day
                admin_sees_the_tenant
                period_is_half_open
                recording_again_changes_nothing
                sums_are_exact
                counts_that_no_call_has_break_no_sum
                several_groupings_make_a_row_for_each_combination
                call_counts_for_each_of_its_tags
                usage_is_narrowed_down
                records_are_listed_newest_first_and_by_page
                operator_sees_the_sums_of_tenants
            }
            budget {
                created_budget_is_found
                taken_subject_conflicts
                others_see_nothing
                budgets_are_listed_oldest_first
                update_sets_the_limits
                deleted_budget_limits_nothing
                new_budget_counts_what_was_spent
                call_counts_in_every_budget_of_it
                run_counts_where_its_end_is_stored
                recording_again_counts_once
                rest_is_granted
                refused_call_has_nothing_set_aside
                call_that_costs_nothing_is_not_refused
                calls_at_once_get_no_more_than_there_is
                budget_made_meanwhile_loses_no_call
                released_call_gives_back
                reservation_of_a_dead_process_expires
                next_period_begins_anew
                deleted_user_takes_their_budget
            }
            price {
                created_price_is_found
                taken_moment_conflicts
                current_prices_are_those_of_now_and_later
                deleted_price_is_gone
                others_see_nothing
            }
            rate_limit {
                full_bucket_gives_its_burst
                empty_bucket_fills_again
                calls_at_once_get_no_more_than_there_is
                buckets_are_apart
                what_is_given_back_comes_again
                another_limit_or_clock_locks_nobody_out
                full_buckets_are_forgotten
                deleted_user_takes_their_buckets
            }
            file {
                created_file_is_found
                taken_id_conflicts
                others_see_nothing
                files_are_listed_by_id
                expired_file_is_not_there
                deleted_file_is_gone
                file_counts_for_the_quota
                upload_that_was_given_up_becomes_none
            }
            upload {
                begun_upload_is_found
                others_see_no_upload
                parts_are_kept_as_they_came
                upload_takes_no_more_than_it_may
                completed_upload_is_a_file
                cancelled_upload_has_no_parts
                expired_upload_is_not_there
                parts_count_for_the_quota
                part_that_was_given_up_is_none
                user_has_so_many_pending_uploads
                deleted_user_takes_their_uploads
            }
            knowledge_collection {
                created_collection_is_found
                taken_name_or_id_conflicts
                collections_are_listed_newest_first
                configs_come_in_the_order_they_are_named
                others_see_no_collection
                update_changes_what_is_given
                collection_counts_what_is_in_it
                deleted_collection_takes_all_that_is_in_it
                shared_collection_is_read_by_all
                shared_collection_is_changed_by_its_owner_alone
                collection_of_a_workspace_is_read_by_its_members
                collection_is_made_in_a_workspace_by_editors
                label_and_expiry_are_changed
                collections_are_listed_both_ways
                used_collection_is_active
                collection_stays_in_the_workspace_of_who_leaves
            }
            knowledge_attachment {
                attached_file_waits
                file_is_attached_once
                unknown_file_or_collection_stores_nothing
                attached_documents_are_listed_by_key
                others_see_nothing_attached
                metadata_changes_without_reading
                batch_counts_its_documents
                cancelled_batch_keeps_what_has_begun
                deleted_file_takes_what_was_attached
                detached_document_leaves_the_file
                expired_file_is_attached_no_more
                file_of_a_deleted_user_stays_where_it_is_attached
                counts_are_of_each_collection
                finished_batch_is_not_cancelled
                batch_without_documents_is_forgotten
                file_of_nobody_goes_with_its_last_document
                viewer_reads_what_is_attached_and_changes_nothing
            }
            knowledge_document {
                added_document_waits
                document_of_a_foreign_collection_is_not_stored
                same_source_is_the_same_document
                source_is_of_one_collection
                document_is_found_by_its_source
                documents_are_found_by_their_ids
                nul_in_a_document_is_removed
                documents_are_listed_newest_first
                others_see_no_document
                moved_documents_keep_their_text
                deleted_documents_are_gone
                cancelled_document_has_failed
                failed_document_is_tried_again
                chunks_come_in_order
                upload_becomes_a_document
                upload_that_was_given_up_becomes_none
            }
            knowledge_filter {
                sec_t10_filters_mean_the_same_in_every_store
                fields_of_the_document_are_filtered
                sec_t10_filters_hold_no_sql
                changed_documents_are_filtered_by_what_they_are_now
                changes_are_not_lost_while_segments_are_written_anew
                long_texts_are_filtered
                large_filter_is_answered
            }
            knowledge_index {
                rare_words_rank_first
                text_scores_are_bm25
                at_most_limit_are_found
                nearest_vectors_come_first
                cosines_and_vectors_are_those_stored
                filters_hold_for_words_and_meaning
                several_collections_are_searched_together
                passages_tell_their_document
                merging_changes_no_answer
                others_find_nothing
            }
            knowledge_ingest {
                published_document_is_ready
                new_version_replaces_the_former
                stale_work_is_left_out
                several_documents_are_published_together
                stored_vectors_wait_for_publication
                marked_progress_is_shown
                reading_is_shown
                failed_document_keeps_what_was_findable
                others_publish_nothing
                vectors_do_not_go_into_a_foreign_space
            }
            knowledge_maintenance {
                blob_without_its_document_is_unneeded
                bytes_of_every_document_are_named
                nothing_is_orphaned
            }
            knowledge_queue {
                oldest_documents_are_claimed_first
                claimed_document_tells_its_scope
                each_document_goes_to_one_caller
                documents_of_a_live_worker_stay
                documents_of_a_left_worker_are_claimed
                who_comes_on_is_tried_anew
                documents_of_a_late_worker_are_claimed
                retried_document_waits_until_it_is_due
                released_documents_are_claimed_untried
                ready_and_failed_documents_are_not_claimed
                documents_of_an_older_analysis_are_read_anew
                space_is_built_by_one_worker
                documents_that_nobody_holds_are_claimed_again
                bytes_are_removed_once_no_document_has_them
                upload_of_a_left_worker_is_removed
            }
            knowledge_quota {
                quota_is_kept_to_the_last_byte
                replaced_document_counts_once
                tenant_has_a_quota_of_its_own
                uploads_at_once_keep_no_more_than_allowed
            }
            knowledge_space {
                created_space_is_found
                space_is_built_beside_the_active_one
                retired_space_is_active_again_at_once
                incomplete_or_failed_space_is_built_again
                without_a_space_words_are_found
                failed_space_says_why
                deleted_space_takes_its_vectors
                others_change_no_space
            }
        }
    };
    (@each $with:ident $($noun:ident { $($case:ident)+ })+) => {
        $(mod $noun {
            #[allow(unused_imports, reason = "brings in the function that makes stores")]
            use super::*;

            $(#[tokio::test]
            async fn $case() {
                $with($crate::conformance::$noun::$case).await;
            })+
        })+
    };
}

/// Runs every case of the bytes of documents as a `#[tokio::test]`, through
/// `$with`: an `async fn(impl AsyncFn(&dyn BlobStore))`. For adapters of
/// [`BlobStore`](crate::knowledge::BlobStore) alone; [`conformance_tests!`]
/// has these cases too.
#[macro_export]
macro_rules! blob_conformance_tests {
    ($with:ident) => {
        $crate::blob_conformance_tests! { @each $with
            bytes_read_back
            too_many_bytes_leave_nothing
            broken_stream_leaves_nothing
            deleted_bytes_are_gone
            all_blobs_are_listed
            bytes_are_of_one_upload
            abandoned_upload_leaves_nothing
        }
    };
    (@each $with:ident $($case:ident)+) => {
        $(#[tokio::test]
        async fn $case() {
            $with($crate::conformance::knowledge_blob::$case).await;
        })+
    };
}
