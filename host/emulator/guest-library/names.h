/* The vendors' names of the functions, as Penguin maps them. */

#define NAME(name, function)                                                                       \
  EXPORT __typeof__(libinject_##function) name __attribute__((alias("libinject_" #function)))

/* Broadcom, and what others took over from it. */
NAME(nvram_init, nvram_init);
NAME(nvram_reset, nvram_reset);
NAME(nvram_clear, nvram_clear);
NAME(nvram_close, nvram_close);
NAME(nvram_commit, nvram_commit);
NAME(nvram_get, nvram_get);
NAME(nvram_safe_get, nvram_safe_get);
NAME(nvram_default_get, nvram_default_get);
NAME(nvram_get_buf, nvram_get_buf);
NAME(nvram_get_int, nvram_get_int);
NAME(nvram_getall, nvram_getall);
NAME(nvram_set, nvram_set);
NAME(nvram_set_int, nvram_set_int);
NAME(nvram_unset, nvram_unset);
NAME(nvram_safe_unset, nvram_safe_unset);
NAME(nvram_list_add, nvram_list_add);
NAME(nvram_list_exist, nvram_list_exist);
NAME(nvram_list_del, nvram_list_del);
NAME(nvram_match, nvram_match);
NAME(nvram_invmatch, nvram_invmatch);
NAME(nvram_parse_nvram_from_file, parse_nvram_from_file);
NAME(nvram_load, nvram_init);
NAME(nvram_loaddefault, ret_1);
NAME(_nvram_get, nvram_get);
NAME(nvram_get_state, nvram_get_int);
NAME(nvram_set_state, nvram_set_int);
NAME(nvram_restore_default, nvram_reset);
NAME(nvram_upgrade, nvram_commit);
NAME(nvram_commit_adv, nvram_commit);
NAME(nvram_check, ret_1);
NAME(nvram_flag_set, ret_1);
NAME(nvram_flag_reset, ret_1);
NAME(nvram_master_init, ret_0);
NAME(nvram_slave_init, ret_0);
NAME(nvram_lock_adv, ret_1);
NAME(nvram_unlock_adv, ret_1);
NAME(nvram_get_nvramspace, nvram_get_nvramspace);
NAME(nvram_nget, nvram_nget);
NAME(nvram_nset, nvram_nset);
NAME(nvram_nset_int, nvram_nset_int);
NAME(nvram_nmatch, nvram_nmatch);
NAME(get_default_mac, ret_1);
NAME(VCTGetPortAutoNegSetting, ret_0_arg);

/* Netgear. */
NAME(WAN_ith_CONFIG_GET, WAN_ith_CONFIG_GET);
NAME(WAN_ith_CONFIG_SET_AS_STR, nvram_nset);
NAME(WAN_ith_CONFIG_SET_AS_INT, nvram_nset_int);
NAME(agApi_fwGetFirstTriggerConf, ret_1_arg);
NAME(agApi_fwGetNextTriggerConf, ret_1_arg);
NAME(acos_nvram_init, nvram_init);
NAME(acos_nvram_get, nvram_get);
NAME(acos_nvram_read, nvram_get_buf);
NAME(acos_nvram_set, nvram_set);
NAME(acos_nvram_loaddefault, ret_1);
NAME(acos_nvram_unset, nvram_unset);
NAME(acos_nvram_commit, nvram_commit);
NAME(acosNvramConfig_init, nvram_init);
NAME(acosNvramConfig_get, nvram_get);
NAME(acosNvramConfig_read, nvram_get_buf);
NAME(acosNvramConfig_set, nvram_set);
NAME(acosNvramConfig_write, nvram_set);
NAME(acosNvramConfig_unset, nvram_unset);
NAME(acosNvramConfig_match, nvram_match);
NAME(acosNvramConfig_invmatch, nvram_invmatch);
NAME(acosNvramConfig_save, nvram_commit);
NAME(acosNvramConfig_save_config, nvram_commit);
NAME(acosNvramConfig_loadFactoryDefault, ret_1);

/* Zyxel and Edimax. */
NAME(nvram_getall_adv, nvram_getall_adv);
NAME(nvram_get_adv, nvram_get_adv);
NAME(nvram_set_adv, nvram_set_adv);
NAME(nvram_state, nvram_state);
NAME(nvram_getf, envram_getf);
NAME(nvram_setf, envram_setf);
NAME(envram_commit, envram_commit);
NAME(envram_default, envram_default);
NAME(envram_load, envram_load);
NAME(envram_safe_load, envram_safe_load);
NAME(envram_match, envram_match);
NAME(envram_get, envram_get);
NAME(envram_getf, envram_getf);
NAME(envram_set, envram_set);
NAME(envram_setf, envram_setf);
NAME(envram_unset, envram_unset);

/* ASUS. */
NAME(envram_get_func, envram_get);
NAME(envram_set_func, envram_set);
NAME(envram_unset_func, envram_unset);

/* D-Link. */
NAME(artblock_get, nvram_get);
NAME(artblock_fast_get, nvram_safe_get);
NAME(artblock_safe_get, nvram_safe_get);
NAME(artblock_set, nvram_set);

/* Ralink. */
NAME(nvram_bufget, nvram_bufget);
NAME(nvram_bufset, nvram_bufset);

/* Realtek. */
NAME(apmib_get, apmib_get);
NAME(apmib_set, apmib_set);
NAME(apmib_init, ret_1);
NAME(apmib_reinit, ret_1);
NAME(apmib_update, ret_1);
