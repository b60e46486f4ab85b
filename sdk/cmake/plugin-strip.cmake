# Moves a plugin's debug information into a file beside it. Used by otagate_add_plugin().
execute_process(COMMAND "${OBJCOPY}" --only-keep-debug "${PLUGIN}" "${PLUGIN}.debug" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${STRIP}" --strip-unneeded "${PLUGIN}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${OBJCOPY}" "--add-gnu-debuglink=${PLUGIN}.debug" "${PLUGIN}"
                COMMAND_ERROR_IS_FATAL ANY)
